import { type ChildProcess, spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { onTestFinished } from "vitest"

/** A program that a test runs in a process of its own, as a user would. */
export interface Command {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  /** Its output so far. */
  readonly stdout: () => string
  /** Resolves with the match when a line of stderr matches; rejects when the command ends without one. */
  readonly line: (pattern: RegExp) => Promise<RegExpExecArray>
}

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Kills the process when the test ends. A hook such as `beforeAll` has no such end: its test file stops the process. */
const endWithTest = (child: ChildProcess): void => {
  try {
    onTestFinished(() => void child.kill("SIGKILL"))
  } catch {
    // Started by a hook, outside of any test.
  }
}

interface RunOptions {
  /** Puts a shell that waits for the program above it, as `npm run` does. */
  readonly underShell?: boolean
}

/** Runs `npm run NAME` without npm and the installation. */
export const runCommand = (
  name: string,
  args: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>>,
  options: RunOptions = {}
): Command => runProgram("main.ts", [name, ...args], environment, options)

/** Runs a program; `file` is relative to `tools/src`. */
export const runProgram = (
  file: string,
  args: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>>,
  options: RunOptions = {}
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
