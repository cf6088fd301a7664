import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { crashAtVariable, crashReportVariable } from "./crash-point.ts"
import { settler, withDeadline } from "./deadline.ts"

export interface CrashOptions {
  /** The program: a Node module's path or file URL. */
  readonly module: string | URL
  readonly args?: ReadonlyArray<string>
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>
  /** Options of node itself; those of this process unless told, so TypeScript and conditions work alike. */
  readonly nodeArgs?: ReadonlyArray<string>
  readonly cwd?: string
  /** Crash at the nth passing of the step, 1 unless told. */
  readonly nth?: number
  /** For `died`, `exited` and `output`; 10 s unless told. */
  readonly deadlineMs?: number
}

/** What is left of a process that crashed where it should. */
export interface CrashReport {
  readonly step: string
  readonly nth: number
  readonly pid: number
  readonly signal: "SIGKILL"
  /** All steps passed, the fatal one last. */
  readonly passed: ReadonlyArray<string>
  readonly stdout: string
  readonly stderr: string
}

/** How a process ended that was not asked to crash. */
export interface ExitReport {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** A run of the program under test. Disposing it kills the process if it still runs. */
export interface ProgramRun extends AsyncDisposable {
  readonly process: ChildProcess
  /** Settles when the process has ended, however it ended; rejects at the deadline. */
  readonly exited: Promise<ExitReport>
  /** Waits until stdout matches; rejects when the process ends first or at the deadline. */
  output(pattern: RegExp): Promise<RegExpMatchArray>
  kill(signal?: NodeJS.Signals): void
}

export interface CrashRun extends ProgramRun {
  /** Resolves once the process died at its step; rejects with `CrashNotReached` when it ended in any other way. */
  readonly died: Promise<CrashReport>
  /** Starts the same program again, this time without a crash. Waits for the death first. */
  again(): Promise<ProgramRun>
  /** Starts the same program again, to crash at the same or at another step. Waits for the death first. */
  crashAgain(step?: string, nth?: number): Promise<CrashRun>
}

/** The process ended, or ran out of time, without crashing at its step. */
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
 * Starts a Node program that kills itself with SIGKILL exactly when it reaches `crashPoint(step)`.
 * `await run.died` proves that it got there; `await run.again()` starts it once more, as a supervisor would.
 */
export const crashAt = (step: string, options: CrashOptions): CrashRun => {
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

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

const readPassed = (file: string): ReadonlyArray<string> => {
  try {
    return readFileSync(file, "utf8").split("\n").filter(Boolean)
  } catch {
    return [] // The file does not exist when no step was passed.
  }
}

/**
 * Loaded into the program before anything else: a pipe to this process that closes when it ends, by whatever means,
 * and takes the program with it. So a test runner that is killed leaves nothing running.
 */
const dieWithParent =
  'import{Socket}from"node:net";' +
  'new Socket({fd:3}).on("close",()=>process.kill(process.pid,"SIGKILL")).on("error",()=>{}).resume().unref()'
const dieWithParentArgs = ["--import", `data:text/javascript,${encodeURIComponent(dieWithParent)}`]

const startProgram = (options: CrashOptions, crashEnv: Readonly<Record<string, string>>): ProgramRun => {
  const deadlineMs = options.deadlineMs ?? 10_000
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
  // A program that died leaves a broken pipe behind; that is no error of the test's.
  child.stdin.on("error", () => {})
  child.once("close", (code, signal) => {
    process.removeListener("exit", killWithParent)
    ended.resolve({ code, signal, stdout: stdout.text(), stderr: stderr.text() })
  })

  const exited = withDeadline(ended.promise, deadlineMs, () => {
    child.kill("SIGKILL")
    return new Error(
      `it still ran after ${deadlineMs} ms and was killed; stderr: ${stderr.text() || "(empty)"}`
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
        new Error(`it did not print ${pattern} within ${deadlineMs} ms; stdout: ${stdout.text()}`)
      return withDeadline(waiting, deadlineMs, late)
    },
    kill: (signal = "SIGKILL") => void child.kill(signal),
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL")
      await ended.promise.catch(() => {})
    }
  }
}

const keptCharacters = 64 * 1024

/** Keeps the last 64 K characters of a stream and tells when they match. */
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
