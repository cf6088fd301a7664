import { type ChildProcess, spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { onTestFinished } from "vitest"

/** A command of the repository that a test runs as a user would: in a process of its own. */
export interface Command {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  /** What it has printed until now. */
  readonly stdout: () => string
  /** Resolves with the match when a line of stderr matches; rejects when the command ends without one. */
  readonly line: (pattern: RegExp) => Promise<RegExpExecArray>
}

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A test that fails in the middle leaves no command behind. Who starts one in `beforeAll` ends it in `afterAll`. */
const endWithTest = (child: ChildProcess): void => {
  try {
    onTestFinished(() => void child.kill("SIGKILL"))
  } catch {
    // There is no test yet.
  }
}

/**
 * Runs a command of the repository.
 * @param file relative to `tools/src`
 * @param options `underShell`: the child is a shell that waits for the command, as `npm run` has it
 */
export const runCommand = (
  file: string,
  args: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>>,
  options: { readonly underShell?: boolean } = {}
): Command => {
  const main = fileURLToPath(new URL(`../${file}`, import.meta.url))
  const flags = ["--conditions=holdfast-source", "--disable-warning=ExperimentalWarning"]
  const command = [process.execPath, ...flags, main, ...args]
  const [program = "", ...programArgs] =
    options.underShell === true ? ["sh", "-c", '"$@" & wait', "sh", ...command] : command
  const child = spawn(program, programArgs, {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"]
  })
  endWithTest(child)
  let stdout = ""
  let stderr = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text))
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text))
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once("error", reject)
    child.once("close", (code) => resolve({ code, stdout, stderr }))
  })
  const line = (pattern: RegExp) =>
    new Promise<RegExpExecArray>((resolve, reject) => {
      const look = () => {
        const match = stderr
          .split("\n")
          .map((text) => pattern.exec(text))
          .find((found) => found !== null)
        if (match) resolve(match)
      }
      child.stderr.on("data", look)
      look()
      void ended.then(() => reject(new Error(`it ended without a line like ${pattern}:\n${stderr}`)))
    })
  return { child, ended, stdout: () => stdout, line }
}
