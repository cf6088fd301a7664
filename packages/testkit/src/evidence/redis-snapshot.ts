import type { Redis } from "ioredis"
import { withRedis } from "../services/clients.ts"
import type { ServerAddressFields } from "./address.ts"
import type { Snapshot } from "./snapshot.ts"

const answerDeadlineMs = 5_000

/** A snapshot sends one INFO. Its reply does not count itself, so the first INFO appears in the second snapshot. */
export const ownRedisCommands = (address: ServerAddressFields) => ({
  info: 1,
  auth: address.password === undefined ? 0 : 1
})

/**
 * Reads `INFO all` (one command, one moment) over a separate connection. The counts are those of `commandstats`, which
 * include commands called from Lua.
 */
export const redisSnapshot = (address: ServerAddressFields): Promise<Snapshot> => {
  const { host, port, user, password } = address
  const options = {
    ...(user === undefined ? {} : { username: user }),
    ...(password === undefined ? {} : { password }),
    // Only INFO may be sent: no HELLO, CLIENT SETINFO or ready check.
    protocol: 2,
    disableClientInfo: true,
    enableReadyCheck: false
  } as const
  const read = async (redis: Redis) => readInfo(await redis.info("all"), address)
  return withRedis({ host, port }, read, answerDeadlineMs, options)
}

const readInfo = (info: string, { host, port, identity }: ServerAddressFields): Snapshot => {
  const fields = new Map<string, string>()
  const counts = new Map<string, number>()
  for (const line of info.split("\r\n")) {
    const colon = line.indexOf(":")
    if (colon < 0) continue
    const [name, value] = [line.slice(0, colon), line.slice(colon + 1)]
    const calls = /^cmdstat_(.+)$/.exec(name)
    if (calls?.[1] === undefined) fields.set(name, value)
    else counts.set(calls[1].toLowerCase(), Number(/calls=(\d+)/.exec(value)?.[1] ?? 0))
  }
  const isValkey = fields.get("server_name") === "valkey"
  const version = isValkey ? fields.get("valkey_version") : fields.get("redis_version")
  const pid =
    identity?.pid ?? (identity?.containerId === undefined ? Number(fields.get("process_id")) : undefined)
  return {
    identity: {
      kind: isValkey ? "valkey" : "redis",
      version: version ?? "unknown",
      host,
      port,
      id: fields.get("run_id") ?? "",
      ...(pid === undefined || Number.isNaN(pid) ? {} : { pid }),
      ...(identity?.containerId === undefined ? {} : { containerId: identity.containerId })
    },
    life: fields.get("run_id") ?? "",
    uptimeSeconds: Number(fields.get("uptime_in_seconds") ?? 0),
    counts
  }
}
