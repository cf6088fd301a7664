import type { Redis } from "ioredis"
import { peer } from "../internal/peer.ts"
import { redisServerInfo, withRedis } from "../services/clients.ts"
import { SourceUnusable } from "../services/errors.ts"
import { temporaryDirectory } from "../services/native/directories.ts"
import { findRedis, type Installation } from "../services/native/installation.ts"
import { freePort } from "../services/native/port.ts"
import { runServer } from "../services/native/server.ts"
import type { RedisFlavour, ServiceControls } from "../services/service.ts"
import { unpackedRedis } from "../services/packages/index.ts"

/** One server of several that belong together. */
export interface RedisNode extends ServiceControls {
  readonly port: number
  /** A plain client of this node alone, to look at it and to damage it. It is closed with the node. */
  readonly client: Redis
}

const READY_MS = 30_000

/** The Redis or Valkey of this machine, or else one unpacked from the distribution's packages. */
export const redisProgram = async (): Promise<Installation<RedisFlavour>> =>
  (await findRedis("any")) ?? unpackedRedis(["redis", "valkey"], () => {})

/** Starts one node. `args` are given its port and directory. */
export const startNode = async (
  { env, program }: Installation<RedisFlavour>,
  args: (port: number, directory: string) => ReadonlyArray<string>
): Promise<RedisNode> => {
  const directory = await temporaryDirectory("redis-node")
  const server = await runServer({
    program,
    env,
    directory,
    args: (port) => {
      const own = args(port, directory.path)
      const common = [
        "--port",
        String(port),
        "--bind",
        "127.0.0.1",
        "--daemonize",
        "no",
        "--dir",
        directory.path
      ]
      return own[0]?.startsWith("--") === false ? [own[0], ...common, ...own.slice(1)] : [...common, ...own]
    },
    probe: (port) => withRedis({ host: "127.0.0.1", port }, redisServerInfo),
    isOurs: ({ pid }, expected) => pid === expected,
    readyMs: READY_MS,
    choosePort: freePort
  })
  const { Redis: Client } = await peer("ioredis", () => import("ioredis"))
  const client = new Client(server.port, "127.0.0.1", { retryStrategy: () => 20, maxRetriesPerRequest: 0 })
  client.on("error", () => {})
  return {
    ...server.controls,
    port: server.port,
    client,
    stop: async () => {
      client.disconnect()
      await server.controls.stop()
    }
  }
}

/** Stops all of them, and rejects when one could not be. */
export const stopAll = async (nodes: ReadonlyArray<ServiceControls>): Promise<void> => {
  await Promise.all(nodes.map((node) => node.stop()))
}

/** Starts the same thing several times at once. When one does not start, the others are stopped. */
export const startAll = async <A extends ServiceControls>(
  count: number,
  start: (index: number) => Promise<A>
): Promise<ReadonlyArray<A>> => {
  const started = await Promise.allSettled(Array.from({ length: count }, (_, index) => start(index)))
  const nodes = started.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []))
  const failed = started.find((each) => each.status === "rejected")
  if (failed === undefined) return nodes
  await stopAll(nodes)
  throw failed.reason
}

/** Refuses a number that no topology can have. */
export const requireAtLeast = (what: string, count: number, minimum: number): void => {
  if (!Number.isSafeInteger(count) || count < minimum)
    throw new SourceUnusable(`${what} has to be a whole number from ${minimum}`)
}
