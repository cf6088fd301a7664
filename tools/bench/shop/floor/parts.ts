/** What an order of the floor may have beside its own rows. */
export const floorParts = ["lock", "fence", "answer", "event", "ledger"] as const
export type FloorPart = (typeof floorParts)[number]

/** The variable that tells a floor's process its parts, separated by commas. */
export const FLOOR_PARTS = "BENCH_FLOOR_PARTS"

/** The rows that Holdfast writes, too. Its locks are no part of the least program. */
const USUAL = "answer,event,ledger"
const wanted: ReadonlySet<string> = new Set((process.env[FLOOR_PARTS] ?? USUAL).split(","))

/** In the floor's process: whether its orders have the part. */
export const has = (part: FloorPart): boolean => wanted.has(part)
