import { assertOptions } from "../internal/options.ts"
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { crashAtVariable, crashReportVariable } from "../crash-point/index.ts"
import { messageOf } from "../internal/message-of.ts"
import { settler, withDeadline } from "../internal/promises.ts"

/** The program to crash, and how to start it. */
export interface CrashOptions {
  /** The program: path or file URL of a Node module. */
  readonly module: string | URL
  readonly args?: ReadonlyArray<string>
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>
  /** Options of node itself. Default: those of this process, so that TypeScript and conditions work alike. */
  readonly nodeArgs?: ReadonlyArray<string>
  readonly cwd?: string
  /** Crash when the step is passed for the nth time. Default 1. */
  readonly nth?: number
  /** Deadline of `died`, `exited` and `output`. Default 10,000. */
  readonly timeoutMs?: number
}

/** What a process left that crashed at its step. */
export interface CrashReport {
  readonly step: string
  readonly nth: number
  readonly pid: number
  readonly signal: "SIGKILL"
  /** All steps that it passed, the fatal one last. */
  readonly passed: ReadonlyArray<string>
  readonly stdout: string
  readonly stderr: string
}

/** How a process ended. */
export interface ExitReport {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** A run of the program under test. Disposing it kills the process. */
export interface ProgramRun extends AsyncDisposable {
  readonly process: ChildProcess
  /** Resolves when the process has ended, however it ended; rejects at the deadline. */
  readonly exited: Promise<ExitReport>
  /** Resolves when stdout matches; rejects when the process ends first, and at the deadline. */
  output(pattern: RegExp): Promise<RegExpMatchArray>
  /** Sends a signal, SIGKILL by default. */
  kill(signal?: NodeJS.Signals): void
}

/** A run of the program that crashes at a step. */
export interface CrashRun extends ProgramRun {
  /** Resolves when the process died at its step; rejects with `CrashNotReached` when it ended in any other way. */
  readonly died: Promise<CrashReport>
  /** Waits for the crash, then starts the same program without one. */
  again(): Promise<ProgramRun>
  /** Waits for the crash, then starts the same program to crash at the same or another step. */
  crashAgain(step?: string, nth?: number): Promise<CrashRun>
}

/** The process ended, or reached its deadline, without crashing at its step. */
export class CrashNotReached extends Error {
  readonly _tag = "CrashNotReached"
  readonly step: string
  readonly passed: ReadonlyArray<string>

  constructor(step: string, nth: number, passed: ReadonlyArray<string>, how: string, stderr: string) {
    const which = nth === 1 ? "" : ` for the ${nth}th time`
    const seen = passed.length === 0 ? "it passed no step" : `it passed: ${passed.join(", ")}`
    super(`the process did not reach "${step}"${which}: ${how}; ${seen}${stderr === "" ? "" : `\n${stderr}`}`)
    this.name = "CrashNotReached"
    this.step = step
    this.passed = passed
  }
}

/**
 * Starts a Node program that kills itself with SIGKILL when it reaches `crashPoint(step)`. `await run.died` proves that
 * it got there; `await run.again()` restarts it, as a supervisor would.
 */
export const crashAt = (step: string, options: CrashOptions): CrashRun => {
  const ofProcess = { module: true, args: true, env: true, nodeArgs: true, cwd: true } as const
  assertOptions("crashAt", options, { ...ofProcess, nth: true, timeoutMs: true })
  const nth = options.nth ?? 1
  const reportDirectory = mkdtempSync(join(tmpdir(), "crash-point-"))
  const reportFile = join(reportDirectory, "passed")
  const run = startProgram(options, {
    [crashAtVariable]: nth === 1 ? step : `${step}#${nth}`,
    [crashReportVariable]: reportFile
  })

  const readDeath = async (): Promise<CrashReport> => {
    const ended = await run.exited.catch((error: unknown) => new Error(messageOf(error)))
    const passed = readPassed(reportFile)
    rmSync(reportDirectory, { recursive: true, force: true })
    if (ended instanceof Error) throw new CrashNotReached(step, nth, passed, ended.message, "")
    const timesPassed = passed.filter((name) => name === step).length
    if (ended.signal !== "SIGKILL" || passed.at(-1) !== step || timesPassed !== nth) {
      const how = `it ended with ${ended.signal ?? `code ${ended.code}`}`
      throw new CrashNotReached(step, nth, passed, how, ended.stderr)
    }
    const { stdout, stderr } = ended
    return { step, nth, pid: run.process.pid!, signal: "SIGKILL", passed, stdout, stderr }
  }
  const died = readDeath()
  died.catch(() => {})

  return {
    ...run,
    died,
    again: async () => {
      await died
      return startProgram(options, {})
    },
    crashAgain: async (nextStep = step, nextNth = nth) => {
      await died
      return crashAt(nextStep, { ...options, nth: nextNth })
    }
  }
}

const readPassed = (file: string): ReadonlyArray<string> => {
  try {
    return readFileSync(file, "utf8").split("\n").filter(Boolean)
  } catch {
    return [] // No step was passed, so the file does not exist.
  }
}

/**
 * Loaded into the program first: a pipe to this process that kills the program when it closes. So a killed test runner
 * leaves nothing running.
 */
const dieWithParent =
  'import{Socket}from"node:net";' +
  'new Socket({fd:3}).on("close",()=>process.kill(process.pid,"SIGKILL")).on("error",()=>{}).resume().unref()'
const dieWithParentArgs = ["--import", `data:text/javascript,${encodeURIComponent(dieWithParent)}`]

const startProgram = (options: CrashOptions, crashEnv: Readonly<Record<string, string>>): ProgramRun => {
  const timeoutMs = options.timeoutMs ?? 10_000
  const { [crashAtVariable]: _at, [crashReportVariable]: _report, ...inherited } = process.env
  const module = options.module instanceof URL ? fileURLToPath(options.module) : options.module
  const child = spawn(
    process.execPath,
    [...(options.nodeArgs ?? process.execArgv), ...dieWithParentArgs, module, ...(options.args ?? [])],
    {
      cwd: options.cwd,
      env: { ...inherited, ...options.env, ...crashEnv },
      stdio: ["pipe", "pipe", "pipe", "pipe"]
    }
  )
  const stdout = collect(child.stdout)
  const stderr = collect(child.stderr)
  const ended = settler<ExitReport>()
  const killWithParent = () => child.kill("SIGKILL")
  process.once("exit", killWithParent)
  child.once("error", (error) => ended.reject(error))
  // A program that died leaves a broken pipe, which must not fail the test.
  child.stdin.on("error", () => {})
  child.once("close", (code, signal) => {
    process.removeListener("exit", killWithParent)
    ended.resolve({ code, signal, stdout: stdout.text(), stderr: stderr.text() })
  })

  const exited = withDeadline(ended.promise, timeoutMs, () => {
    child.kill("SIGKILL")
    return new Error(
      `it still ran after ${timeoutMs} ms and was killed; stderr: ${stderr.text() || "(empty)"}`
    )
  })
  exited.catch(() => {})
  return {
    process: child,
    exited,
    output: (pattern) => {
      const waiting = Promise.race([
        stdout.matching(pattern),
        ended.promise.then((end) => {
          throw new Error(
            `it ended (${end.signal ?? end.code}) before printing ${pattern}; stderr: ${end.stderr}`
          )
        })
      ])
      const late = () =>
        new Error(`it did not print ${pattern} within ${timeoutMs} ms; stdout: ${stdout.text()}`)
      return withDeadline(waiting, timeoutMs, late)
    },
    kill: (signal = "SIGKILL") => void child.kill(signal),
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL")
      await ended.promise.catch(() => {})
    }
  }
}

const keptCharacters = 64 * 1024

/** Keeps the last 64 K characters of a stream and waits for matches in them. */
const collect = (stream: NodeJS.ReadableStream) => {
  let text = ""
  const watchers = new Set<() => void>()
  stream.setEncoding("utf8")
  stream.on("data", (chunk: string) => {
    text = (text + chunk).slice(-keptCharacters)
    for (const watch of watchers) watch()
  })
  return {
    text: () => text,
    matching: (pattern: RegExp) =>
      new Promise<RegExpMatchArray>((resolve) => {
        const watch = () => {
          const match = new RegExp(pattern.source, pattern.flags.replaceAll(/[gy]/g, "")).exec(text)
          if (match === null) return
          watchers.delete(watch)
          resolve(match)
        }
        watchers.add(watch)
        watch()
      })
  }
}
