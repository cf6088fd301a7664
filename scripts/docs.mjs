// The documents as a site: `npm run docs` serves it while they are written, `npm run docs -- build` makes it.
import { node24, run } from "./bootstrap.mjs"

const [command = "dev", ...options] = process.argv.slice(2)
process.exitCode = await run(node24(), [
  "node_modules/vitepress/bin/vitepress.js",
  command,
  "docs",
  ...options
])
