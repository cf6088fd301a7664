import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { messageOf } from "../../internal/message-of.ts"
import { withDeadline } from "../../internal/promises.ts"
import { ServerDidNotStart } from "../errors.ts"
import type { ServiceControls } from "../service.ts"
import { releaseDirectory, type ServerDirectory } from "./directories.ts"
import { supervise, tailOf, type SupervisedProcess } from "./supervisor.ts"

/** How to run one kind of server in one directory. */
interface ServerPlan<Info> {
  readonly program: string
  readonly env: NodeJS.ProcessEnv
  readonly directory: ServerDirectory
  readonly args: (port: number) => ReadonlyArray<string>
  /** Connects and asks the server for its identity; rejects while it does not answer. */
  readonly probe: (port: number) => Promise<Info>
  /** Whether the answer came from this process, and not from another one that took the port first. */
  readonly isOurs: (info: Info, pid: number) => boolean
  readonly readyMs: number
  readonly choosePort: () => Promise<number>
}

interface RunningServer<Info> {
  readonly port: number
  readonly info: Info
  readonly pid: () => number
  readonly controls: ServiceControls
}

const PORT_ATTEMPTS = 10
const PROBE_EVERY_MS = 5
const END_MS = 20_000

/** Starts the server on a free port of 127.0.0.1 and waits until it answers. Retries when the port is taken first. */
export async function runServer<Info>(plan: ServerPlan<Info>): Promise<RunningServer<Info>> {
  for (let attempt = 1; ; attempt++) {
    const port = await plan.choosePort()
    const process = await launch(plan, port)
    try {
      const info = await untilReady(plan, process, port)
      return { port, info, ...controlsOf(plan, process, port) }
    } catch (error) {
      const last = attempt === PORT_ATTEMPTS || !(error instanceof PortTaken)
      await process.end({ keep: !last || !plan.directory.temporary })
      if (!last) continue
      releaseDirectory(plan.directory)
      throw error
    }
  }
}

/** Another process listens on the port. */
class PortTaken extends ServerDidNotStart {}

const logFileOf = (plan: { readonly directory: ServerDirectory }) => join(plan.directory.path, "server.log")

const launch = <Info>(plan: ServerPlan<Info>, port: number) =>
  supervise({
    command: plan.program,
    args: plan.args(port),
    env: plan.env,
    logFile: logFileOf(plan),
    removeDirectory: plan.directory.temporary ? plan.directory.path : ""
  })

async function untilReady<Info>(
  plan: ServerPlan<Info>,
  process: SupervisedProcess,
  port: number
): Promise<Info> {
  const deadline = Date.now() + plan.readyMs
  const failed = (reason: string) => {
    const log = tailOf(logFileOf(plan))
    const Failure = /address already in use|EADDRINUSE|bind on tcp\/ip port/i.test(log)
      ? PortTaken
      : ServerDidNotStart
    return new Failure({ command: plan.program, reason, log })
  }
  for (;;) {
    const probe = plan.probe(port).catch((error: unknown) => messageOf(error))
    // Another process that took the port may accept connections and never answer.
    const answer = await Promise.race([probe, process.exited.then(() => "it ended")])
    if (!process.running()) throw failed(`ended with status ${await process.exited}`)
    if (typeof answer !== "string") {
      if (plan.isOurs(answer, process.pid)) return answer
      throw new PortTaken({ command: plan.program, reason: `lost port ${port} to another server`, log: "" })
    }
    if (Date.now() > deadline) throw failed(`did not answer within ${plan.readyMs} ms (${answer})`)
    await Promise.race([delay(PROBE_EVERY_MS), process.exited])
  }
}

/** The server's controls. `pid` follows restarts. */
function controlsOf<Info>(plan: ServerPlan<Info>, first: SupervisedProcess, port: number) {
  let current = first
  let stopping: Promise<void> | undefined
  const killAndWait = async () => {
    if (current.running()) current.signal("SIGKILL")
    await withDeadline(current.exited, END_MS, "the killed server did not end")
  }
  const controls: ServiceControls = {
    freeze: async () => current.signal("SIGSTOP"),
    thaw: async () => current.signal("SIGCONT"),
    kill: killAndWait,
    restart: async () => {
      await killAndWait()
      const previous = current
      current = await launch(plan, port)
      // The new supervisor already guards the directory, so it is never unguarded.
      await previous.end({ keep: true })
      await untilReady(plan, current, port)
    },
    stop: () => (stopping ??= stop()),
    outlive: (seconds) => {
      stopping = Promise.resolve()
      return current.outlive(seconds)
    }
  }
  const stop = async () => {
    if (!plan.directory.temporary && current.running()) await endPolitely(current)
    await current.end({ keep: !plan.directory.temporary })
    releaseDirectory(plan.directory)
  }
  return { pid: () => current.pid, controls }
}

/** A clean shutdown spares the next start a recovery. A server that takes too long is killed. */
async function endPolitely(process: SupervisedProcess): Promise<void> {
  process.signal("SIGCONT")
  process.signal("SIGTERM")
  await withDeadline(process.exited, END_MS, "").catch(() => {})
}
