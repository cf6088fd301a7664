import { createHash } from "node:crypto"
import { readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"

/** A hash of files and of everything below directories: names and contents, in a fixed order. */
export function fingerprintOf(paths: ReadonlyArray<string>, ...more: ReadonlyArray<string>): string {
  const hash = createHash("sha256")
  for (const path of paths)
    for (const file of filesOf(path))
      hash
        .update(`${file.slice(path.length)}\0`)
        .update(readFileSync(file))
        .update("\0")
  for (const text of more) hash.update(`${text}\0`)
  return hash.digest("hex").slice(0, 32)
}

function filesOf(path: string): ReadonlyArray<string> {
  if (!statSync(path).isDirectory()) return [path]
  return readdirSync(path)
    .toSorted()
    .flatMap((name) => filesOf(join(path, name)))
}
