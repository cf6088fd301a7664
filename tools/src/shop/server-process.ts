import { type ChildProcess, fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { ServerMessage } from "./server-main.ts"

/** The server's process ended and cannot be restarted. */
class ServerProcessFailed extends Error {
  override readonly name = "ServerProcessFailed"
}

export interface ServerProcess {
  readonly url: string
  /** The current process, which changes after a crash. */
  readonly pid: () => number | undefined
  /** Sends a message to the current process, for a module that `preload` names. */
  readonly send: (message: object) => void
  /** Rejects when the server cannot be restarted any more; never resolves. */
  readonly failed: Promise<never>
  readonly stop: () => Promise<void>
}

export interface ServerProcessOptions {
  /** The settings of the server, by the names of its environment variables. */
  readonly environment: Readonly<Record<string, string>>
  readonly onRestart?: (pid: number | undefined) => void
  /** How often a dead server is restarted. Default 10. */
  readonly maximumRestarts?: number
  /** The URL of a module that the process loads before the server. */
  readonly preload?: string
  /** The file descriptor that receives the log. Default: stderr. */
  readonly log?: number
}

const MAXIMUM_RESTARTS = 10
const STOP_WAIT_MS = 15_000

/** Runs a Holdfast server as a child process, and restarts it on the same port when it dies. */
export const startServerProcess = async (options: ServerProcessOptions): Promise<ServerProcess> => {
  let restarts = 0
  let isStopping = false
  let giveUp: (reason: ServerProcessFailed) => void = () => {}
  const failed = new Promise<never>((_resolve, reject) => (giveUp = reject))
  failed.catch(() => {}) // It may reject before a caller awaits it.

  const watch = (child: ChildProcess, port: number) =>
    child.once("exit", (code, signal) => {
      if (isStopping) return
      if (++restarts > (options.maximumRestarts ?? MAXIMUM_RESTARTS))
        return giveUp(
          new ServerProcessFailed(`the server ended ${restarts} times, lastly with ${signal ?? code}`)
        )
      startChild(options, port).then((next) => {
        current = next.child
        watch(next.child, port)
        if (isStopping) current.disconnect()
        options.onRestart?.(current.pid)
      }, giveUp)
    })

  const first = await startChild(options, 0)
  let current = first.child
  watch(current, first.port)

  const stop = async () => {
    if (isStopping) return
    isStopping = true
    if (current.exitCode !== null || current.signalCode !== null) return
    const gone = new Promise((resolve) => current.once("exit", resolve))
    if (current.connected) current.disconnect()
    const deadline = setTimeout(() => current.kill("SIGKILL"), STOP_WAIT_MS)
    await gone
    clearTimeout(deadline)
  }
  return {
    url: first.url,
    pid: () => current.pid,
    send: (message) => void (current.connected && current.send(message)),
    failed,
    stop
  }
}

/**
 * A server needs about 100 MB. Without these bounds V8 lets several times as much garbage lie on a large machine; the
 * caller's own options come later, so they win.
 */
const HEAP = "--max-old-space-size=256 --max-semi-space-size=8"

const nodeOptions = (environment: ServerProcessOptions["environment"]): string =>
  [HEAP, process.env["NODE_OPTIONS"], environment["NODE_OPTIONS"]].filter(Boolean).join(" ")

const startChild = ({ environment, log = 2, preload }: ServerProcessOptions, port: number) =>
  new Promise<{ readonly child: ChildProcess; readonly url: string; readonly port: number }>(
    (resolve, reject) => {
      const main = fileURLToPath(new URL("./server-main.ts", import.meta.url))
      const child = fork(main, [String(port)], {
        execArgv: [
          "--conditions=holdfast-source",
          "--disable-warning=ExperimentalWarning",
          ...(preload === undefined ? [] : [`--import=${preload}`])
        ],
        env: {
          ...process.env,
          ...environment,
          NODE_OPTIONS: nodeOptions(environment),
          HOST: "127.0.0.1",
          PORT: "3000"
        },
        // The log goes to stderr, because the command prints its result on stdout.
        stdio: ["ignore", log, log, "ipc"]
      })
      const fail = (why: string) => reject(new ServerProcessFailed(`the server did not start: ${why}`))
      child.once("error", (error) => fail(error.message))
      child.once("exit", (code, signal) => fail(`its process ended with ${signal ?? code}`))
      child.once("message", (message: ServerMessage) => {
        if ("failed" in message) fail(message.failed)
        else resolve({ child, url: message.url, port: message.port })
      })
    }
  )
