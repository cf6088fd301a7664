import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"

const fromRoot = (path: string) => fileURLToPath(new URL(`../../../../${path}`, import.meta.url))

/** Compiles the client once for all test files: bundlers and editors read what is packed, not its sources. */
export default function setup(): void {
  const project = fromRoot("packages/client-sdk/tsconfig.build.json")
  execFileSync(process.execPath, [fromRoot("node_modules/typescript/bin/tsc"), "-b", project], {
    stdio: ["ignore", "inherit", "inherit"]
  })
}
