import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { mkdir, rename, rm, writeFile } from "node:fs/promises"
import { homedir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"

const run = promisify(execFile)
const INSTALL_MS = 900_000

/**
 * A directory outside of the repository whose `node_modules` hold these packages: they are not worth a newcomer's
 * installation. It is kept for the next run.
 * @param packages exact versions by name
 */
export const installed = async (
  name: string,
  packages: Readonly<Record<string, string>>
): Promise<string> => {
  const versions = Object.values(packages).join("-")
  const cache = join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "holdfast", "peers")
  const directory = join(cache, `${name}-${versions}`)
  if (existsSync(directory)) return directory
  const unfinished = `${directory}.${process.pid}`
  await mkdir(unfinished, { recursive: true })
  try {
    const manifest = { name: `bench-${name}`, private: true, dependencies: packages }
    await writeFile(join(unfinished, "package.json"), JSON.stringify(manifest))
    await run("npm", ["install", "--no-audit", "--no-fund", "--loglevel=error"], {
      cwd: unfinished,
      timeout: INSTALL_MS
    })
    await rename(unfinished, directory)
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
  return directory
}
