import { SourceUnusable } from "../errors.ts"
import type { RedisFlavour, RedisService, SqlFlavour, SqlService } from "../service.ts"
import type { Wish } from "../settings.ts"
import { findRedis, findSql } from "./installation.ts"
import { startNativeRedis } from "./redis.ts"
import { startNativeSql } from "./sql.ts"

/** Starts a private instance of the installed MySQL or MariaDB. */
export async function nativeSql(wish: Wish<SqlFlavour>): Promise<SqlService> {
  refuseWindows()
  const installation = await findSql(wish.kind)
  if (installation === undefined)
    throw new SourceUnusable(
      `no ${wanted(wish.kind, ["mariadbd", "mysqld"])} on PATH or in the usual directories`
    )
  return startNativeSql("native", installation, wish)
}

/** Starts a private instance of the installed Redis or Valkey. */
export async function nativeRedis(wish: Wish<RedisFlavour>): Promise<RedisService> {
  refuseWindows()
  const installation = await findRedis(wish.kind)
  if (installation === undefined)
    throw new SourceUnusable(
      `no ${wanted(wish.kind, ["redis-server", "valkey-server"])} on PATH or in the usual directories`
    )
  return startNativeRedis("native", installation, wish)
}

function refuseWindows(): void {
  if (process.platform === "win32") throw new SourceUnusable("private servers are not supported on Windows")
}

const wanted = (kind: string, programs: ReadonlyArray<string>) =>
  kind === "any" ? programs.join(" or ") : `${programs.join(" or ")} that is ${kind}`
