import { type ServiceOptions, startServices } from "@holdfast/testkit"
import { listenForErrors } from "@holdfast/locks"
import { Redis } from "ioredis"
import { startTopology, type Topology, topologyOfRun } from "./redis-topology.ts"

/** A Redis for one test file, which may flush, freeze and kill it. */
export interface PrivateRedis extends AsyncDisposable {
  /** Of a topology every server, but not the sentinels. */
  readonly service: {
    readonly freeze: () => Promise<void>
    readonly thaw: () => Promise<void>
    readonly kill: () => Promise<void>
    readonly restart: () => Promise<void>
  }
  readonly url: string
  /** A plain client, to inspect and to damage its data. */
  readonly client: Redis
  readonly stop: () => Promise<void>
}

export const startPrivateRedis = async (
  options: Pick<ServiceOptions, "source"> = {}
): Promise<PrivateRedis> => {
  const topology = topologyOfRun()
  if (topology !== undefined) return startPrivateTopology(topology)
  const services = await startServices({ sql: false, ...options })
  const client = listenForErrors(new Redis(services.redis.url(), { retryStrategy: () => 50 }))
  const stop = async () => {
    client.disconnect()
    await services.stop()
  }
  return {
    service: services.redis,
    url: services.redis.url(),
    client,
    stop,
    [Symbol.asyncDispose]: stop
  }
}

const startPrivateTopology = async (topology: Topology): Promise<PrivateRedis> => {
  const { client, nodes, stop, url } = await startTopology(topology)
  const onAll = (act: "freeze" | "thaw" | "kill" | "restart") => async () => {
    await Promise.all(nodes.map((node) => node[act]()))
  }
  const service = {
    freeze: onAll("freeze"),
    thaw: onAll("thaw"),
    kill: onAll("kill"),
    restart: onAll("restart")
  }
  return { service, url, client, stop, [Symbol.asyncDispose]: stop }
}
