// The one entry of the root commands: installs what is missing, then runs the command on Node 24.
// `npm start`, `npm test` and the rest all come through here, so each of them works on a fresh machine.
import { join } from "node:path"
import { bootstrap, node24, NPX, PNPM, root, run } from "./bootstrap.mjs"

/** Node 24 strips the types of the sources, and the condition resolves the packages to theirs. */
const command = (name) => [
  node24(),
  [
    "--conditions=holdfast-source",
    "--disable-warning=ExperimentalWarning",
    join(root, "tools/src/main.ts"),
    name
  ]
]
const tool = (file, ...args) => [node24(), [join(root, "node_modules", file), ...args]]
const script = (file) => [node24(), [join(root, "scripts", file)]]

/** The steps of every command, after the installation; the last one takes the caller's arguments. */
const commands = {
  start: [command("start")],
  demo: [command("demo")],
  replay: [command("replay")],
  verify: [command("verify")],
  bench: [command("bench")],
  soak: [command("soak")],
  drills: [command("drills")],
  fill: [command("fill")],
  mutants: [command("mutants")],
  "testkit-runners": [script("testkit-runners.mjs")],
  test: [script("check.mjs"), tool("vitest/vitest.mjs", "run")],
  vitest: [tool("vitest/vitest.mjs", "run")],
  install: [],
  build: [script("build.mjs")],
  docs: [script("docs.mjs")],
  // It calls pnpm itself.
  changeset: [[NPX, ["--yes", PNPM, "exec", "changeset"]]],
  release: [script("release.mjs")],
  api: [script("api-report.mjs")],
  check: [script("check.mjs")],
  format: [tool("oxfmt/bin/oxfmt", ".")]
}

// Every process of a command strips and compiles the same sources; with the cache it starts in two thirds of the time.
process.env.NODE_COMPILE_CACHE ??= join(root, "node_modules", ".cache", "node")

const [name, ...args] = process.argv.slice(2)
try {
  if (!Object.hasOwn(commands, name ?? ""))
    throw new Error(`unknown command ${name}; known: ${Object.keys(commands).join(", ")}`)
  await bootstrap()
  process.exitCode = await runSteps(commands[name], args)
} catch (error) {
  console.error(`holdfast: ${error.message}`)
  process.exitCode = 1
}

/** Runs the steps one after the other; the first that fails ends the run. */
async function runSteps(steps, callerArgs) {
  for (const [index, [program, programArgs]] of steps.entries()) {
    const isLast = index === steps.length - 1
    const code = await run(program, isLast ? [...programArgs, ...callerArgs] : programArgs)
    if (code !== 0) return code
  }
  return 0
}
