import { setTimeout as delay } from "node:timers/promises"
import type { ContainerRuntimeClient } from "testcontainers"
import { messageOf } from "../../internal/message-of.ts"
import { withDeadline } from "../../internal/promises.ts"
import { ServerDidNotStart } from "../errors.ts"
import type { ServiceControls } from "../service.ts"
import type { ContainerPlan } from "./container.ts"
import { startContained, type ContainedServer } from "./lifeline.ts"

/** How to run one kind of server in a container, and how to tell that it is ready. */
interface ContainedPlan<Info> extends Omit<ContainerPlan, "labels" | "local"> {
  readonly probe: (host: string, port: number) => Promise<Info>
  /** Called at the end, for example to release a data directory. */
  readonly onStopped: () => void
}

interface RunningContainer<Info> {
  readonly containerId: string
  readonly host: string
  readonly port: number
  readonly info: Info
  readonly controls: ServiceControls
}

/** The first start initialises the data, which takes MySQL many seconds on a small machine. */
const READY_MS = 180_000
const PROBE_EVERY_MS = 20
const END_MS = 20_000

/** Starts the container and waits until its server answers from outside. */
export async function runContainer<Info>(
  client: ContainerRuntimeClient,
  plan: ContainedPlan<Info>
): Promise<RunningContainer<Info>> {
  const server = await startContained(client, plan)
  try {
    const info = await untilReady(plan, server)
    const { containerId, host, port } = server
    return { containerId, host, port, info, controls: controlsOf(plan, server) }
  } catch (error) {
    await server.end()
    throw error
  }
}

async function untilReady<Info>(plan: ContainedPlan<Info>, server: ContainedServer): Promise<Info> {
  const deadline = Date.now() + READY_MS
  for (;;) {
    const answer = await plan.probe(server.host, server.port).then(
      (info) => ({ info }),
      (error: unknown) => messageOf(error)
    )
    if (typeof answer !== "string") return answer.info
    const reason = !server.running()
      ? `ended with status ${await server.exited()}`
      : Date.now() > deadline
        ? `did not answer within ${READY_MS} ms (${answer})`
        : undefined
    if (reason !== undefined)
      throw new ServerDidNotStart({ command: `image ${plan.image.name}`, reason, log: await server.log() })
    await delay(PROBE_EVERY_MS)
  }
}

function controlsOf<Info>(plan: ContainedPlan<Info>, server: ContainedServer): ServiceControls {
  let stopping: Promise<void> | undefined
  const kill = async () => {
    if (server.running()) await server.signal("KILL")
    await withDeadline(server.exited(), END_MS, "the killed server did not end")
  }
  const stop = async () => {
    if (plan.volume !== undefined && server.running()) {
      // A clean shutdown spares the next start a recovery.
      await server.signal("CONT")
      await server.signal("TERM")
      // Removing the container kills a server that does not end in time.
      await withDeadline(server.exited(), END_MS, "").catch(() => {})
    }
    await server.end()
    plan.onStopped()
  }
  return {
    freeze: () => server.signal("STOP"),
    thaw: () => server.signal("CONT"),
    kill,
    restart: async () => {
      await kill()
      await server.start()
      await untilReady(plan, server)
    },
    stop: () => (stopping ??= stop()),
    outlive: (seconds) => {
      stopping = Promise.resolve()
      return server.outlive(seconds)
    }
  }
}
