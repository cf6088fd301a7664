import { join } from "node:path"
import { SourceUnusable } from "../errors.ts"
import { findRedis, findSql, type Installation } from "../native/installation.ts"
import { startNativeRedis } from "../native/redis.ts"
import { startNativeSql } from "../native/sql.ts"
import type { RedisFlavour, RedisService, SqlFlavour, SqlService } from "../service.ts"
import type { Wish } from "../settings.ts"
import { libraryPath, unpacked, type Wanted } from "./unpacked.ts"

/** Ubuntu puts the version into the name (`mysql-server-core-8.0`), Debian does not. */
const PACKAGES: Readonly<Record<SqlFlavour | RedisFlavour, Wanted>> = {
  mariadb: {
    label: "mariadb",
    packages: [/^mariadb-server-core$/, /^mariadb-server-core-[0-9.]+$/],
    // Its installation script calls a program of the client package.
    companions: (found) => [found.replace("server", "client")]
  },
  mysql: {
    label: "mysql",
    packages: [/^mysql-server-core$/, /^mysql-server-core-[0-9.]+$/],
    companions: () => []
  },
  redis: { label: "redis", packages: [/^redis-server$/], companions: () => [] },
  valkey: { label: "valkey", packages: [/^valkey-server$/], companions: () => [] }
}

/** Starts MariaDB or MySQL from the distribution's packages, unpacked into the cache. */
export async function packagesSql(wish: Wish<SqlFlavour>): Promise<SqlService> {
  const flavours: ReadonlyArray<SqlFlavour> = wish.kind === "any" ? ["mariadb", "mysql"] : [wish.kind]
  const [flavour, lookup] = await firstUnpacked(flavours, wish.progress)
  const installation = await findSql(flavour, lookup)
  if (installation === undefined)
    throw new SourceUnusable(
      `the server unpacked in ${lookup.root} does not run here; remove that directory to have it unpacked again`
    )
  return startNativeSql("packages", installation, wish)
}

/** Starts Redis or Valkey from the distribution's packages, unpacked into the cache. */
export async function packagesRedis(wish: Wish<RedisFlavour>): Promise<RedisService> {
  const flavours: ReadonlyArray<RedisFlavour> = wish.kind === "any" ? ["redis", "valkey"] : [wish.kind]
  return startNativeRedis("packages", await unpackedRedis(flavours, wish.progress), wish)
}

/** The Redis or Valkey of the distribution's packages, unpacked into the cache. */
export async function unpackedRedis(
  flavours: ReadonlyArray<RedisFlavour>,
  progress: (line: string) => void
): Promise<Installation<RedisFlavour>> {
  const [flavour, lookup] = await firstUnpacked(flavours, progress)
  const installation = await findRedis(flavour, lookup)
  if (installation === undefined)
    throw new SourceUnusable(
      `the server unpacked in ${lookup.root} does not run here; remove that directory to have it unpacked again`
    )
  return installation
}

async function firstUnpacked<Flavour extends SqlFlavour | RedisFlavour>(
  flavours: ReadonlyArray<Flavour>,
  progress: (line: string) => void
) {
  const reasons: Array<string> = []
  for (const flavour of flavours) {
    try {
      const root = await unpacked(PACKAGES[flavour], progress)
      return [flavour, lookupIn(root)] as const
    } catch (error) {
      if (!(error instanceof SourceUnusable)) throw error
      reasons.push(error.message)
    }
  }
  throw new SourceUnusable([...new Set(reasons)].join("; "))
}

const lookupIn = (root: string) => ({
  directories: ["usr/sbin", "usr/bin", "usr/libexec"].map((directory) => join(root, directory)),
  root,
  env: {
    ...process.env,
    LD_LIBRARY_PATH: [libraryPath(root), process.env["LD_LIBRARY_PATH"]].filter(Boolean).join(":")
  }
})
