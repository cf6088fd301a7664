// Builds the packages and checks the tarballs that would be published.
import { readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { PACKAGES } from "./api-report.mjs"
import { NPX, PNPM, root } from "./bootstrap.mjs"
import { packPackages } from "./consumer.mjs"
import { capture, nodeStep, runSteps } from "./steps.mjs"

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

/** What the published packages need, for whoever has to know. */
const writeBillOfMaterials = () =>
  capture(
    NPX,
    `--yes ${PNPM} sbom --prod --lockfile-only --sbom-format cyclonedx --sbom-spec-version 1.6 --out .tsbuild/sbom.cdx.json`.split(
      " "
    )
  )

const built =
  (await runSteps("build", [
    { name: "compile and pack", work: () => packPackages(PACKAGES, packed) },
    { name: "bill of materials", work: writeBillOfMaterials }
  ])) && (await runSteps("packages", readdirSync(packed).flatMap(checksOf)))
if (built) console.error(`build: the tarballs are in ${packed}`)
process.exitCode = built ? 0 : 1
