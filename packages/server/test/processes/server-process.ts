import { type ChildProcess, fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { ServerSettings } from "../../src/config.ts"
import { type Command, encodeSettings, type LogLevel, type Question, type Reply } from "./messages.ts"

/** Arguments with which Node runs TypeScript sources. */
export const NODE_ARGUMENTS = ["--conditions=holdfast-source", "--disable-warning=ExperimentalWarning"]

const SHIFTED_CLOCK = new URL("./shifted-clock.ts", import.meta.url).href

/** A server in another process. */
export interface RemoteServer {
  readonly url: string
  readonly pid: number
  /** Runs the job of this name once. Returns how many items it handled. */
  readonly runJob: (job: string) => Promise<number>
  readonly stop: () => Promise<void>
}

const ANSWER_WITHIN_MS = 90_000

/**
 * An operating system process that runs any number of servers. It takes a second to start, so a test process starts
 * one, with the first such server, and keeps it.
 */
export class ServerProcess {
  private static shared: ServerProcess | undefined

  /** The shared process; a new one when the previous was killed. */
  static get(): ServerProcess {
    if (this.shared === undefined || this.shared.child.exitCode !== null || this.shared.child.killed)
      this.shared = new ServerProcess()
    return this.shared
  }

  readonly pid: number
  private readonly child: ChildProcess
  private readonly waiting = new Map<number, PromiseWithResolvers<Reply["value"]>>()
  private lastId = 0

  /** @param clockShiftMs by how much its clock is ahead; below 0 it is behind */
  constructor(clockShiftMs = 0) {
    this.child = fork(fileURLToPath(new URL("./main.ts", import.meta.url)), {
      execArgv: [...NODE_ARGUMENTS, ...(clockShiftMs === 0 ? [] : ["--import", SHIFTED_CLOCK])],
      env: { ...process.env, HOLDFAST_TEST_CLOCK_SHIFT_MS: String(clockShiftMs) },
      stdio: ["ignore", "inherit", "inherit", "ipc"]
    })
    this.pid = this.child.pid!
    this.child.on("message", (reply: Reply) => this.take(reply))
    this.child.once("exit", (code, signal) => this.fail(`it ended (${signal ?? code})`))
    this.child.once("error", (error) => this.fail(error.message))
    this.unref()
  }

  async start(settings: ServerSettings, logLevel: LogLevel): Promise<RemoteServer> {
    const url = String(await this.ask({ do: "start", settings: encodeSettings(settings), logLevel }))
    return {
      url,
      pid: this.pid,
      runJob: async (job) => Number(await this.ask({ do: "run job", url, job })),
      stop: async () => void (await this.ask({ do: "stop", url }))
    }
  }

  kill(): void {
    this.child.kill("SIGKILL")
  }

  private async ask(command: Command): Promise<Reply["value"]> {
    const id = (this.lastId += 1)
    const answer = Promise.withResolvers<Reply["value"]>()
    this.waiting.set(id, answer)
    const deadline = setTimeout(
      () => answer.reject(new Error(`no answer within ${ANSWER_WITHIN_MS} ms to "${command.do}"`)),
      ANSWER_WITHIN_MS
    )
    this.child.ref()
    this.child.channel?.ref()
    this.child.send({ id, command } satisfies Question, (error) => error && answer.reject(error))
    try {
      return await answer.promise
    } finally {
      clearTimeout(deadline)
      this.waiting.delete(id)
      this.unref()
    }
  }

  private take({ error, id, value }: Reply): void {
    const answer = this.waiting.get(id)
    if (error === undefined) answer?.resolve(value)
    else answer?.reject(new Error(`in the servers' process: ${error}`))
  }

  private fail(how: string): void {
    for (const { reject } of this.waiting.values()) reject(new Error(`the servers' process is gone: ${how}`))
  }

  /** While no question is open, the child does not keep this process from ending. */
  private unref(): void {
    if (this.waiting.size > 0) return
    this.child.unref()
    this.child.channel?.unref()
  }
}
