import type { Profiler } from "node:inspector"

/** Where a server's processor time goes, as shares of all of it. */
export type Areas = Readonly<Record<string, number>>

/** What a frame's file says of its area; the first that matches counts. */
const FILES: ReadonlyArray<readonly [RegExp, string]> = [
  [/packages\/server\/src\/modules\//, "Holdfast: the shop"],
  [/packages\/server\/src\/platform\/(db|outbox)\//, "Holdfast: statements"],
  [/packages\/server\/src\/platform\/(command|idempotency)\//, "Holdfast: commands"],
  [/packages\/server\/src\/platform\/(http|trpc|rates|telemetry)\//, "Holdfast: calls and their limits"],
  [/packages\/server\/src\/platform\/cache\//, "Holdfast: the cache"],
  [/packages\/locks\//, "Holdfast: locks"],
  [/packages\//, "Holdfast: the rest"],
  [/\/node_modules\/effect\//, "Effect"],
  [/\/node_modules\/kysely\//, "Kysely"],
  [/\/node_modules\/(mysql2|sql-escaper|named-placeholders)\//, "mysql2"],
  [/\/node_modules\/(ioredis|@ioredis|standard-as-callback|redis-parser)\//, "ioredis"],
  [/\/node_modules\/(fastify|@fastify|find-my-way|fast-querystring|avvio)\//, "Fastify"],
  [/\/node_modules\//, "other libraries"],
  [/^node:(net|stream|internal\/stream|internal\/streams|internal\/net)/, "Node: sockets"],
  [/^node:(_http|internal\/http)/, "Node: HTTP"],
  [/^node:/, "Node: the rest"]
]

const WRITES = new Set(["writeUtf8String", "writeLatin1String", "writeAsciiString", "writeBuffer", "writev"])
const IDLE = new Set(["(idle)", "(root)"])

const areaOf = ({ functionName, url }: Profiler.ProfileNode["callFrame"]): string => {
  if (functionName === "(garbage collector)") return "garbage collection"
  if (functionName === "(program)") return "V8 itself"
  if (url === "") return WRITES.has(functionName) ? "writes to sockets" : "V8 itself"
  return FILES.find(([pattern]) => pattern.test(url))?.[1] ?? "the rest"
}

/** The shares of the areas in the time that the profiled process was not idle, largest first. */
export const areasOf = ({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): Areas => {
  const frames = new Map(nodes.map(({ callFrame, id }) => [id, callFrame]))
  const used = new Map<string, number>()
  let total = 0
  samples.forEach((id, index) => {
    const frame = frames.get(id)
    // The profiler's own frames are none of the server's work.
    if (frame === undefined || IDLE.has(frame.functionName) || frame.url.startsWith("node:inspector")) return
    const us = Math.max(0, timeDeltas[index] ?? 0)
    total += us
    const area = areaOf(frame)
    used.set(area, (used.get(area) ?? 0) + us)
  })
  return Object.fromEntries(
    [...used].toSorted(([, a], [, b]) => b - a).map(([name, us]) => [name, us / total])
  )
}
