import { readFileSync } from "node:fs"

/** The version of this package, as its manifest says; it lies two folders up from the sources as from the build. */
export const version: string = (
  JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as {
    readonly version: string
  }
).version
