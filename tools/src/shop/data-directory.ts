import { randomBytes } from "node:crypto"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

/** A directory for one kind of data in `.holdfast/` of the checkout, or in `HOLDFAST_DATA`. Creates it. */
export const dataDirectory = (part: string): string => {
  const base = process.env["HOLDFAST_DATA"] || fileURLToPath(new URL("../../../.holdfast/", import.meta.url))
  const directory = join(base, part)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  return directory
}

/** The secret of the directory, readable by its owner only. Creates it the first time. */
export const keptSecret = (directory: string): string => {
  const file = join(directory, "secret")
  try {
    writeFileSync(file, randomBytes(32).toString("hex"), { flag: "wx", mode: 0o600 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error
  }
  return readFileSync(file, "utf8")
}
