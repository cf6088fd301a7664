import { execFile } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type Command, runCommand, runProgram } from "./testing/command.ts"

const repository = fileURLToPath(new URL("../..", import.meta.url))
const readme = readFileSync(join(repository, "README.md"), "utf8")

/** The README's programs, in order. */
const programs = [...readme.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code]) => code ?? "")

describe("the README", { timeout: 180_000 }, () => {
  const extracted = fileURLToPath(new URL(".readme", import.meta.url))
  const data = mkdtempSync(join(tmpdir(), "holdfast-readme-"))
  let shop: Command
  let environment: Record<string, string>

  beforeAll(async () => {
    mkdirSync(extracted, { recursive: true })
    for (const [index, code] of programs.entries()) writeFileSync(join(extracted, `program${index}.ts`), code)
    shop = runCommand("start", [], { HOLDFAST_DATA: data, HOST: "127.0.0.1", PORT: "0" })
    const [, url = ""] = await shop.line(/serving on (http\S+)/)
    const password = /user\s+\S+\s+(\S+)/.exec(await printed(shop, /user\s+\S+\s+\S+/))?.[1] ?? ""
    environment = { HOLDFAST_URL: url, SHOP_PASSWORD: password }
  }, 180_000)
  afterAll(async () => {
    shop.child.kill("SIGTERM")
    await shop.ended
    rmSync(extracted, { recursive: true })
    rmSync(data, { recursive: true })
  })

  test("has a program for the SDK and one for the testkit, and both compile", async () => {
    expect(programs).toHaveLength(2)
    const project = {
      extends: "../../tsconfig.json",
      compilerOptions: { tsBuildInfoFile: null, incremental: false },
      include: ["*.ts"]
    }
    writeFileSync(join(extracted, "tsconfig.json"), JSON.stringify(project))
    const compiler = join(repository, "node_modules/typescript/bin/tsc")
    const { code, output } = await run(process.execPath, [compiler, "-p", extracted])
    expect(output).toBe("")
    expect(code).toBe(0)
  })

  test("the SDK's program buys and pays in a shop that `npm start` serves", async () => {
    const { code, stderr, stdout } = await runProgram(".readme/program0.ts", [], environment).ended
    expect(stderr).toBe("")
    expect(stdout).toContain("MUG-BLUE: 100 left, 12 each")
    expect(stdout).toMatch(/^paid 2400 points at 20\d\d-/m)
    expect(code).toBe(0)
  })

  test("the testkit's program sells exactly ten lanterns to fifty buyers", async () => {
    const { code, stderr, stdout } = await runProgram(".readme/program1.ts", [], environment).ended
    expect(stderr).toBe("")
    expect(stdout).toBe("10 sold, 40 sent away\n")
    expect(code).toBe(0)
  })

  test("the testkit's program fails without its guard", async () => {
    const unguarded = programs[1]?.replace(" AND stock > 0", "") ?? ""
    expect(unguarded).not.toBe(programs[1])
    writeFileSync(join(extracted, "unguarded.ts"), unguarded)
    const { code, stderr } = await runProgram(".readme/unguarded.ts", [], environment).ended
    expect(stderr).toContain("expected exactly 10 winners of 50 callers, got 50")
    expect(code).not.toBe(0)
  })
})

/** Resolves with the output of a command as soon as it matches. */
const printed = async (command: Command, pattern: RegExp): Promise<string> => {
  while (!pattern.test(command.stdout()))
    await new Promise((resolve) => command.child.stdout?.once("data", resolve))
  return command.stdout()
}

const run = (program: string, args: ReadonlyArray<string>) =>
  new Promise<{ code: number; output: string }>((resolve) => {
    execFile(program, args, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === "number" ? error.code : 0, output: stdout + stderr })
    )
  })
