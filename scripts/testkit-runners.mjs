// Runs the files of docs/testkit.md word by word, in a directory made by `npm init -y`, with each supported test runner:
// node scripts/testkit-runners.mjs [NAMES], or all of them. `npm run testkit-runners` installs what is missing first.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { node24, root } from "./bootstrap.mjs"
import { catalogVersion, packPackages, runProgram } from "./consumer.mjs"

const page = readFileSync(join(root, "docs/testkit.md"), "utf8")
const files = new Map(
  [...page.matchAll(/^```ts\n\/\/ (\S+)\n([\s\S]*?)^```$/gm)].map(([, path, code]) => [path, code])
)

const drivers = ["mysql2", "ioredis"]
const compiler = [
  `typescript@${catalogVersion("typescript")}`,
  `@types/node@${catalogVersion("@types/node")}`
]

/** Installs packages with npm or pnpm, as the page says. */
const add = {
  npm: (cwd, ...packages) => runProgram("npm", ["install", "--no-audit", "--no-fund", ...packages], { cwd }),
  pnpm: (cwd, ...packages) =>
    runProgram("npx", ["--yes", "pnpm@12.21.0", "add", "--ignore-scripts", ...packages], { cwd })
}

const vitest = (version, manager) => ({
  manager,
  packages: [`vitest@${version}`],
  run: (cwd) => runProgram(node24(), ["node_modules/vitest/vitest.mjs", "run", "--no-color"], { cwd })
})

/** Compiles the page's files that need no vitest. */
const compile = async (cwd) => {
  const kept = [...files.keys()].filter((path) =>
    ["src/shop.ts", "test/template.ts", "test/sale.node.ts"].includes(path)
  )
  const compilerOptions = {
    target: "ES2022",
    lib: ["ES2024", "ESNext.Disposable"],
    module: "NodeNext",
    outDir: "compiled",
    rootDir: ".",
    types: ["node"],
    skipLibCheck: true,
    rewriteRelativeImportExtensions: true
  }
  writeFileSync(join(cwd, "tsconfig.json"), JSON.stringify({ compilerOptions, files: kept }))
  await runProgram(node24(), ["node_modules/typescript/bin/tsc", "-p", "."], { cwd })
}

/** The page's test for node:test, for a runner whose hooks are declared outside of tests. */
const writtenFor = (module, code) =>
  code
    .replace('import { test } from "node:test"', `import { afterAll, test } from "${module}"`)
    .replace("async (context) => {", "async () => { const context = { after: (end) => ends.push(end) }")
    .replace(
      'test("sells',
      'const ends = []\nafterAll(() => Promise.all(ends.map((end) => end())))\ntest("sells'
    )

/** Runs the page's test for node:test with a runner that has no fixtures. */
const withoutFixtures = (manager, packages, module, ...args) => ({
  manager,
  packages: [...packages, ...compiler],
  run: async (cwd) => {
    await compile(cwd)
    const code = readFileSync(join(cwd, "compiled/test/sale.node.js"), "utf8")
    writeFileSync(join(cwd, "compiled/test/sale.test.js"), writtenFor(module, code))
    rmSync(join(cwd, "vitest.config.ts"))
    return runProgram(node24(), args, { cwd })
  }
})

const runners = {
  "vitest-3": withoutFixtures(
    "npm",
    ["vitest@3"],
    "vitest",
    "node_modules/vitest/vitest.mjs",
    "run",
    "--testTimeout=60000",
    "compiled/test/sale.test.js"
  ),
  "vitest-4": vitest("4", "pnpm"),
  "vitest-5": vitest(catalogVersion("vitest"), "npm"),
  "node-test": {
    manager: "npm",
    packages: ["node@22", ...compiler],
    run: async (cwd) => {
      await compile(cwd)
      return runProgram(join(cwd, "node_modules/node/bin/node"), ["--test", "compiled/test/sale.node.js"], {
        cwd
      })
    }
  },
  jest: withoutFixtures(
    "pnpm",
    ["jest@30", "@jest/globals@30"],
    "@jest/globals",
    "--experimental-vm-modules",
    "node_modules/jest/bin/jest.js",
    "--testTimeout=60000",
    "compiled/test/sale.test.js"
  )
}

/** Runs the page's files with one runner. Rejects with its output when a test fails. */
export async function runPageWith(name, tarball) {
  const { manager, packages, run } = runners[name]
  const cwd = mkdtempSync(join(tmpdir(), `holdfast-runner-${name}-`))
  try {
    await runProgram("npm", ["init", "-y"], { cwd })
    await runProgram("npm", ["pkg", "set", "type=module"], { cwd })
    await add[manager](cwd, ...drivers, tarball, ...packages)
    for (const [path, code] of files) {
      mkdirSync(dirname(join(cwd, path)), { recursive: true })
      writeFileSync(join(cwd, path), code)
    }
    return await run(cwd)
  } finally {
    rmSync(cwd, { recursive: true, force: true })
  }
}

if (process.argv[1] === import.meta.filename) {
  const names = process.argv.slice(2)
  const unknown = names.find((name) => !Object.hasOwn(runners, name))
  if (unknown !== undefined)
    throw new Error(`unknown runner ${unknown}; known: ${Object.keys(runners).join(", ")}`)
  const packed = mkdtempSync(join(tmpdir(), "holdfast-packed-"))
  try {
    const { "@holdfast/testkit": tarball } = await packPackages(["testkit"], packed)
    for (const name of names.length > 0 ? names : Object.keys(runners)) {
      const beganAt = performance.now()
      try {
        await runPageWith(name, tarball)
        console.log(`ok    ${name} (${Math.round((performance.now() - beganAt) / 1_000)} s)`)
      } catch (error) {
        console.log(`FAIL  ${name}\n${error.message}`)
        process.exitCode = 1
      }
    }
  } finally {
    rmSync(packed, { recursive: true, force: true })
  }
}
