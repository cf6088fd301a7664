import { Redis } from "ioredis"
import { withDeadline } from "../race/deadline.ts"
import type { ServerAddressFields } from "./address.ts"
import type { Snapshot } from "./snapshot.ts"

const answerDeadlineMs = 5_000

/** One INFO a snapshot; its reply does not count itself yet, so the first one shows up in the second. */
export const ownRedisCommands = (address: ServerAddressFields) => ({
  info: 1,
  auth: address.password === undefined ? 0 : 1
})

/**
 * Reads `INFO all` (one command, one moment) over a connection of its own. The counts are those of `commandstats`,
 * which include commands called from Lua.
 */
export const redisSnapshot = async (address: ServerAddressFields): Promise<Snapshot> => {
  const { host, port, user, password } = address
  const redis = new Redis({
    host,
    port,
    ...(user === undefined ? {} : { username: user }),
    ...(password === undefined ? {} : { password }),
    // Nothing but INFO is to be sent: no HELLO, no CLIENT SETINFO, no ready check.
    protocol: 2,
    disableClientInfo: true,
    enableReadyCheck: false,
    lazyConnect: true,
    retryStrategy: () => null
  })
  let refused: unknown
  redis.on("error", (error) => (refused = error))
  const silent = () => new Error(`Redis at ${host}:${port} did not answer within ${answerDeadlineMs} ms`)
  try {
    const info = await withDeadline(
      redis.connect().then(() => redis.info("all")),
      answerDeadlineMs,
      silent
    )
    return readInfo(info, address)
  } catch (error) {
    // "Connection is closed" says less than what the socket said.
    throw refused ?? error
  } finally {
    redis.disconnect()
  }
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
