import { spawn } from "node:child_process"
import { once } from "node:events"
import { closeSync, openSync, readSync, fstatSync } from "node:fs"
import { Socket } from "node:net"
import { createInterface } from "node:readline"
import type { Stream } from "node:stream"
import { ServerDidNotStart } from "../errors.ts"

/**
 * Runs the server and kills it when its standard input closes, which the kernel does however this process dies. It has
 * its own session, so that a signal to this process group does not end it first. The line "keep", sent after the server
 * has ended, makes it exit without removing the directory.
 */
const SUPERVISOR = `
directory=$1; log=$2; shift 2
exec 3<&0
"$@" </dev/null >>"$log" 2>&1 3<&- &
server=$!
trap 'kill -KILL "$server"' TERM INT HUP
trap '' PIPE
( trap - TERM INT HUP; while read -r line; do :; done; kill -KILL "$server" ) <&3 3<&- >/dev/null 2>&1 &
lifeline=$!
echo "$server"
wait "$server"; status=$?
while kill -0 "$server" 2>/dev/null; do wait "$server"; status=$?; done
kill -KILL "$lifeline" 2>/dev/null
echo "$status" 2>/dev/null
while read -r line; do [ "$line" = keep ] && exit 0; done <&3
[ -z "$directory" ] || rm -rf "$directory"
`

/** A server process that ends with this process. */
export interface SupervisedProcess {
  readonly pid: number
  /** Resolves with the exit status as a shell reports it (137: ended by SIGKILL). Never rejects. */
  readonly exited: Promise<number>
  readonly running: () => boolean
  /** Throws ESRCH when the server has ended. */
  signal(signal: NodeJS.Signals): void
  /** Keeps the server after this process ends; resolves with the pid of the process that then keeps it alive. */
  outlive(seconds: number): Promise<number>
  /** Ends the server and its supervisor, and removes the directory unless `keep` is set. */
  end(options: { readonly keep: boolean }): Promise<void>
}

interface Supervised {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly env: NodeJS.ProcessEnv
  readonly logFile: string
  /** A directory to remove when this process dies; empty for none. */
  readonly removeDirectory: string
}

/** Starts a server under a supervisor. Resolves once its pid is known, long before the server answers. */
export async function supervise(server: Supervised): Promise<SupervisedProcess> {
  const supervisor = spawn(
    "/bin/sh",
    ["-c", SUPERVISOR, "holdfast", server.removeDirectory, server.logFile, server.command, ...server.args],
    { detached: true, stdio: ["pipe", "pipe", "ignore"], env: server.env, cwd: "/" }
  )
  // Writing to a supervisor that has exited fails; its exit event already reports that.
  supervisor.stdin.on("error", () => {})
  const gone = new Promise<void>((resolve) => {
    supervisor.once("exit", () => resolve())
    supervisor.once("error", () => resolve())
  })
  const lines = createInterface({ input: supervisor.stdout })
  const first = once(lines, "line").then(([line]) => Number(line))
  const pid = await Promise.race([first, gone.then(() => undefined)])
  first.catch(() => {})
  if (pid === undefined)
    throw new ServerDidNotStart({ command: server.command, reason: "could not be started", log: "" })

  let running = true
  const exited = new Promise<number>((resolve) => {
    lines.once("line", (line) => resolve(Number(line)))
    void gone.then(() => resolve(137))
  }).then((status) => {
    running = false
    return status
  })
  // A missing call of stop() does not keep the program alive; the server ends with the program.
  supervisor.unref()
  for (const stream of [supervisor.stdin, supervisor.stdout]) if (stream instanceof Socket) stream.unref()

  return {
    pid,
    exited,
    running: () => running,
    signal: (signal) => void process.kill(pid, signal),
    outlive: (seconds) => handToSleeper(supervisor.stdin, seconds),
    end: async ({ keep }) => {
      supervisor.ref()
      if (keep) {
        if (running) killUnlessGone(pid)
        await exited
        supervisor.stdin.write("keep\n")
      }
      supervisor.stdin.end()
      await gone
    }
  }
}

/** A server may end by itself before its supervisor says so. */
const killUnlessGone = (pid: number): void => {
  try {
    process.kill(pid, "SIGKILL")
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error
  }
}

/** Hands a lifeline to a sleeping process, which keeps the server alive until it ends. Resolves with its pid. */
export async function handToSleeper(lifeline: Stream, seconds: number): Promise<number> {
  const sleeper = spawn("sleep", [String(Math.ceil(seconds))], {
    detached: true,
    stdio: ["ignore", "ignore", "ignore", lifeline]
  })
  await once(sleeper, "spawn")
  sleeper.unref()
  return sleeper.pid ?? 0
}

const TAIL_BYTES = 4_000

/** The end of a server's log, for an error message. */
export function tailOf(logFile: string): string {
  try {
    const file = openSync(logFile, "r")
    try {
      const { size } = fstatSync(file)
      const buffer = Buffer.alloc(Math.min(size, TAIL_BYTES))
      readSync(file, buffer, 0, buffer.length, size - buffer.length)
      return buffer.toString("utf8").trim()
    } finally {
      closeSync(file)
    }
  } catch {
    return ""
  }
}
