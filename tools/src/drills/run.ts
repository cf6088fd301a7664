import { type SqlService, startServices } from "@holdfast/testkit"
import { startRedisCluster, startRedisSentinelGroup } from "@holdfast/testkit/topologies"
import { audit } from "../shop/audit.ts"
import type { DrillFigures, Ground } from "./ground.ts"
import { clusterMishaps, sentinelMishaps } from "./redis-failures.ts"
import { restore } from "./restore.ts"
import { rollingRestart } from "./rolling-restart.ts"
import { sellThrough } from "./store-failures.ts"
import { upgrade } from "./upgrade.ts"

interface DrillOptions {
  readonly name: string | undefined
  readonly json: boolean
}

/** Starts the stores of a drill and says what happens on them. They are stopped when the drill and its audit are over. */
type Drill = (stores: AsyncDisposableStack) => Promise<{
  readonly sql: Pick<SqlService, "createDatabase" | "url">
  readonly redisUrl: string
  readonly run: (ground: Ground) => Promise<DrillFigures>
  readonly isGood: (figures: DrillFigures) => boolean
}>

const hasNoFailure = ({ failed }: DrillFigures): boolean => failed === 0

const DRILLS: Readonly<Record<string, Drill>> = {
  rollingRestart: async (stores) => {
    const { redis, sql } = stores.use(await startServices())
    return { sql, redisUrl: redis.url(), run: rollingRestart, isGood: hasNoFailure }
  },
  upgrade: async (stores) => {
    const { redis, sql } = stores.use(await startServices())
    return { sql, redisUrl: redis.url(), run: upgrade, isGood: hasNoFailure }
  },
  restore: async (stores) => {
    const { redis, sql } = stores.use(await startServices())
    return { sql, redisUrl: redis.url(), run: restore, isGood: hasNoFailure }
  },
  redisCluster: async (stores) => {
    const { sql } = stores.use(await startServices({ redis: false }))
    const cluster = stores.use(await startRedisCluster())
    const run = (ground: Ground) => sellThrough(ground, clusterMishaps(cluster))
    return { sql, redisUrl: cluster.url, run, isGood: hasNoFailure }
  },
  redisSentinel: async (stores) => {
    const { sql } = stores.use(await startServices({ redis: false }))
    const group = stores.use(await startRedisSentinelGroup())
    const run = (ground: Ground) => sellThrough(ground, sentinelMishaps(group))
    return { sql, redisUrl: group.url, run, isGood: hasNoFailure }
  }
}

const DATABASE = "holdfast_drill"

/** Figures of a drill, and what the audit of its books says. */
type Result = DrillFigures & { readonly booksRight: boolean }

/** Runs one drill, or all of them, and audits the books after each. The exit code is 1 when one fails. */
export const run = async ({ json, name }: DrillOptions): Promise<number> => {
  if (name !== undefined && !Object.hasOwn(DRILLS, name))
    throw new Error(`there is no drill ${name}; known: ${Object.keys(DRILLS).join(", ")}`)
  const results: Record<string, Result> = {}
  let isGood = true
  for (const [each, drill] of Object.entries(DRILLS)) {
    if (name !== undefined && name !== each) continue
    await using stores = new AsyncDisposableStack()
    const { isGood: isGoodOf, redisUrl, run: rehearse, sql } = await drill(stores)
    await sql.createDatabase(DATABASE)
    const ground: Ground = {
      mysqlUrl: sql.url(DATABASE),
      redisUrl,
      note: (line) => console.error(`${each}: ${line}`)
    }
    const figures = await rehearse(ground)
    const { ok: booksRight } = await audit(ground.mysqlUrl, ground.redisUrl)
    results[each] = { ...figures, booksRight }
    isGood &&= booksRight && isGoodOf(figures)
  }
  const booksRight = Object.values(results).every((result) => result.booksRight)
  console.log(json ? JSON.stringify({ ...results, booksRight }) : textOf(results))
  return isGood ? 0 : 1
}

const textOf = (results: Readonly<Record<string, Result>>): string =>
  Object.entries(results)
    .map(
      ([name, { booksRight, calls, failed, holeMs, worstMs }]) =>
        `${name}: ${calls} calls, ${failed} failed, the slowest answer after ${worstMs} ms, nobody was served for ${holeMs} ms; the books are ${booksRight ? "right" : "wrong"}`
    )
    .join("\n")
