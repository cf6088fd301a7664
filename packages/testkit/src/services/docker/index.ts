import { createHash, randomBytes } from "node:crypto"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { redisServerInfo, sqlMethods, sqlServerInfo, withRedis, withSql } from "../clients.ts"
import { persistentDirectory, releaseDirectory, type ServerDirectory } from "../native/directories.ts"
import { redisDataArgs } from "../native/redis.ts"
import type { RedisFlavour, RedisService, SqlFlavour, SqlService } from "../service.ts"
import type { Wish } from "../settings.ts"
import { engine } from "./engine.ts"
import type { Image } from "./images.ts"

/** Only a machine with an engine loads Testcontainers. */
const containers = () => Promise.all([import("./images.ts"), import("./server.ts")])

/** Starts MySQL or MariaDB in a container. Without a data directory it keeps its data in memory. */
export async function dockerSql(wish: Wish<SqlFlavour>): Promise<SqlService> {
  const client = await engine()
  const [{ firstImage }, { runContainer }] = await containers()
  const flavours: ReadonlyArray<SqlFlavour> = wish.kind === "any" ? ["mysql", "mariadb"] : [wish.kind]
  const image = await firstImage(client, { image: wish.image, flavours }, wish.progress)
  const flavour = wish.kind === "any" ? flavourOf(image) : wish.kind
  const { password, volume, release } = await claimVolume(wish.dataDirectory, `docker-${flavour}`)
  const address = (host: string, port: number) => ({ host, port, user: "root", password })
  const server = await runContainer(client, {
    image,
    args: sqlArgs(flavour, volume !== undefined),
    env: { MYSQL_ROOT_PASSWORD: password, MARIADB_ROOT_PASSWORD: password },
    port: 3306,
    dataPath: "/var/lib/mysql",
    volume,
    probe: (host, port) => withSql(address(host, port), sqlServerInfo),
    onStopped: release
  }).catch((error: unknown) => {
    release()
    throw error
  })
  return {
    flavour: server.info.flavour,
    version: server.info.version,
    source: "docker",
    identity: { containerId: server.containerId },
    ...sqlMethods(address(server.host, server.port)),
    ...server.controls
  }
}

/** Starts Redis or Valkey in a container. */
export async function dockerRedis(wish: Wish<RedisFlavour>): Promise<RedisService> {
  const client = await engine()
  const [{ firstImage }, { runContainer }] = await containers()
  const flavours: ReadonlyArray<RedisFlavour> = wish.kind === "any" ? ["redis", "valkey"] : [wish.kind]
  const image = await firstImage(client, { image: wish.image, flavours }, wish.progress)
  const { volume, release } = await claimVolume(wish.dataDirectory, "docker-redis")
  const server = await runContainer(client, {
    image,
    args: redisDataArgs("/data", wish.persistent),
    env: {},
    port: 6379,
    dataPath: "/data",
    volume,
    probe: (host, port) => withRedis({ host, port }, redisServerInfo),
    onStopped: release
  }).catch((error: unknown) => {
    release()
    throw error
  })
  return {
    flavour: server.info.flavour,
    version: server.info.version,
    source: "docker",
    host: server.host,
    port: server.port,
    identity: { containerId: server.containerId },
    url: (database = 0) => `redis://${server.host}:${server.port}/${database}`,
    ...server.controls
  }
}

/** MariaDB images are recognised by their name or their command. */
const flavourOf = ({ name, command }: Image): SqlFlavour =>
  /mariadb/i.test([name, ...command].join(" ")) ? "mariadb" : "mysql"

/** As for native servers: a commit always survives the process, and the machine too when the data are kept. */
const sqlArgs = (flavour: SqlFlavour, durable: boolean): ReadonlyArray<string> => [
  "--skip-name-resolve",
  "--character-set-server=utf8mb4",
  "--max-connections=500",
  `--innodb-buffer-pool-size=${durable ? "256M" : "64M"}`,
  `--innodb-flush-log-at-trx-commit=${durable ? 1 : 2}`,
  ...(flavour === "mysql" ? ["--mysqlx=OFF", "--disable-log-bin"] : [])
]

interface ClaimedVolume {
  readonly password: string
  readonly volume: string | undefined
  readonly release: () => void
}

/** A volume named after the data directory. The directory itself stores the password of the first start. */
async function claimVolume(dataDirectory: string | undefined, label: string): Promise<ClaimedVolume> {
  const fresh = randomBytes(16).toString("hex")
  if (dataDirectory === undefined) return { password: fresh, volume: undefined, release: () => {} }
  const directory: ServerDirectory = await persistentDirectory(dataDirectory, label)
  const file = join(directory.path, "password")
  if (!existsSync(file)) writeFileSync(file, fresh, { mode: 0o600 })
  const hash = createHash("sha256").update(directory.path).digest("hex").slice(0, 12)
  return {
    password: readFileSync(file, "utf8"),
    volume: `${label.replace("docker-", "holdfast-")}-${hash}`,
    release: () => releaseDirectory(directory)
  }
}
