import { redisServerInfo, withRedis } from "../clients.ts"
import type { RedisFlavour, RedisService, Source } from "../service.ts"
import type { Wish } from "../settings.ts"
import { persistentDirectory, temporaryDirectory } from "./directories.ts"
import type { Installation } from "./installation.ts"
import { freePort } from "./port.ts"
import { runServer } from "./server.ts"

const READY_MS = 30_000

/** Starts a private Redis or Valkey. */
export async function startNativeRedis(
  source: Source,
  { program, env }: Installation<RedisFlavour>,
  wish: Wish<RedisFlavour>,
  choosePort = freePort
): Promise<RedisService> {
  const directory =
    wish.dataDirectory === undefined
      ? await temporaryDirectory("redis")
      : await persistentDirectory(wish.dataDirectory, "redis")
  const server = await runServer({
    program,
    env,
    directory,
    args: (port) => [
      "--port",
      String(port),
      "--bind",
      "127.0.0.1",
      "--daemonize",
      "no",
      ...redisDataArgs(directory.path, wish.persistent)
    ],
    probe: (port) => withRedis({ host: "127.0.0.1", port }, redisServerInfo),
    isOurs: ({ pid }, expected) => pid === expected,
    readyMs: READY_MS,
    choosePort
  })
  const { port, info } = server
  return {
    flavour: info.flavour,
    version: info.version,
    source,
    host: "127.0.0.1",
    port,
    url: (database = 0) => `redis://127.0.0.1:${port}/${database}`,
    get identity() {
      return { pid: server.pid() }
    },
    ...server.controls
  }
}

/** Where and whether Redis stores its data, and in how many databases. */
export const redisDataArgs = (directory: string, persistent: boolean): ReadonlyArray<string> => [
  "--dir",
  directory,
  "--save",
  "",
  "--appendonly",
  persistent ? "yes" : "no",
  "--databases",
  "64"
]
