// Builds the packages and checks the tarballs that would be published.
import { readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { PACKAGES } from "./api-report.mjs"
import { root } from "./bootstrap.mjs"
import { packPackages } from "./consumer.mjs"
import { nodeStep, runSteps } from "./steps.mjs"

const packed = join(root, ".tsbuild", "packed")

// Remove earlier output, so that files deleted from the sources are not published.
for (const name of PACKAGES) rmSync(join(root, "packages", name, "dist"), { recursive: true, force: true })
rmSync(packed, { recursive: true, force: true })

const checksOf = (tarball) => [
  nodeStep(`publint ${tarball}`, "node_modules/publint/src/cli.js", "--strict", join(packed, tarball)),
  nodeStep(
    `types of ${tarball}`,
    "node_modules/@arethetypeswrong/cli/dist/index.js",
    "--profile",
    "esm-only",
    "--no-emoji",
    join(packed, tarball)
  )
]

const built =
  (await runSteps("build", [{ name: "compile and pack", work: () => packPackages(PACKAGES, packed) }])) &&
  (await runSteps("packages", readdirSync(packed).flatMap(checksOf)))
if (built) console.error(`build: the tarballs are in ${packed}`)
process.exitCode = built ? 0 : 1
