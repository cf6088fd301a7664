import { isWrongType, pipelined, type RedisClient, type RedisCommand } from "@holdfast/locks"
import { randomUUID } from "node:crypto"

/** How long a version lives. An entry is invalid once its version has expired. */
const VERSION_LIFETIME_MS = 600_000

/** A version is random, so one that Redis evicted is never reused, and the entries of that version stay invalid. */
const newVersion = (key: string) => ["set", key, randomUUID(), "PX", VERSION_LIFETIME_MS] as const

/** A text that is a version. */
export const versionIn = (text: unknown): string | undefined =>
  typeof text === "string" && text.length === 36 && /^[\da-f-]+$/.test(text) ? text : undefined

/** Gives tags new versions, in the order of their keys. */
export const renewVersions = (client: RedisClient, keys: ReadonlyArray<string>) =>
  inPipeline(client, keys.map(newVersion))

/** The versions of tags; those that have none, or something else under their key, get one. */
export const ensureVersions = async (
  client: RedisClient,
  keys: ReadonlyArray<string>
): Promise<ReadonlyArray<string>> => {
  const first = keys.map(newVersion)
  const replies = await pipelined(
    client,
    first.map((command): RedisCommand => [...command, "NX", "GET"])
  )
  const lies: Array<RedisCommand> = []
  const versions = keys.map((_, at) => {
    const [error, known] = replies[at]!
    if (error !== null && !isWrongType(error)) throw error
    const [, , own] = first[at]!
    const current = error === null && known === null ? own : versionIn(known)
    if (current === undefined) lies.push(first[at]!)
    return current ?? own
  })
  await inPipeline(client, lies)
  return versions
}

/** Makes calls in one round trip and gives their replies. Fails with the first error among them. */
export const inPipeline = async (
  client: RedisClient,
  commands: ReadonlyArray<RedisCommand>
): Promise<ReadonlyArray<unknown>> => {
  if (commands.length === 0) return []
  const replies = await pipelined(client, commands)
  return replies.map(([error, reply]) => {
    if (error !== null) throw error
    return reply
  })
}
