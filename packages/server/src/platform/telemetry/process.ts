import { Effect, Metric } from "effect"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { sql } from "kysely"
import { Database, db } from "../db/database.ts"
import { CONSUMER_TURNS, HAS_POSITION } from "../outbox/positions.ts"

const gauge = (name: string, description: string) => Metric.gauge(name, { description })

const delay = gauge(
  "holdfast_event_loop_delay_ms",
  "Delay of the event loop since the last scrape, by quantile"
)
const resident = gauge("holdfast_memory_resident_bytes", "Resident memory of the process")
const heap = gauge("holdfast_memory_heap_bytes", "Used part of the heap")
const connections = gauge(
  "holdfast_database_connections",
  "Connections of the pool by state: in_use or idle; waiting counts the calls that wait for one"
)
const databaseUp = gauge("holdfast_database_up", "1 while the database answers, as far as the process knows")
const unpublished = gauge("holdfast_outbox_unpublished", "Events that are not published yet")
const oldest = gauge("holdfast_outbox_oldest_seconds", "Age of the oldest event that is not published yet")
const behind = gauge("holdfast_outbox_behind", "Published events that a consumer has not handled yet")
const setAside = gauge("holdfast_set_aside", "Items that a job could not handle and tries again later")
const verified = gauge(
  "holdfast_verify_ok",
  "1 when the last audit found the books right, 0 when it found them wrong"
)
const verifiedAt = gauge("holdfast_verify_timestamp_seconds", "When the last audit ended")
const newVerified = gauge(
  "holdfast_verify_new_ok",
  "1 while the jobs have found every new order right, 0 from a wrong one on until a whole audit finds the books right"
)
const newVerifiedAt = gauge(
  "holdfast_verify_new_timestamp_seconds",
  "When the jobs last audited the new orders"
)

const set = (metric: Metric.Gauge<number>, value: number, labels: Record<string, string> = {}) =>
  Metric.update(Metric.withAttributes(metric, labels), value)

/** The event loop is watched from the start of the process: a timer every 20 ms. */
const loop = monitorEventLoopDelay({ resolution: 20 })
loop.enable()

/** The process and its pool. Asks nobody. */
export const measureProcess = Effect.gen(function* () {
  const database = yield* Database
  const { idle, inUse, waiting } = database.usage()
  for (const quantile of [50, 99, 100])
    yield* set(delay, loop.percentile(quantile) / 1e6, { quantile: String(quantile / 100) })
  loop.reset()
  const { heapUsed, rss } = process.memoryUsage()
  yield* set(resident, rss)
  yield* set(heap, heapUsed)
  yield* set(connections, inUse, { state: "in_use" })
  yield* set(connections, idle, { state: "idle" })
  yield* set(connections, waiting, { state: "waiting" })
  yield* set(databaseUp, database.isUp() ? 1 : 0)
})

/** The jobs that have had items aside: a gauge stays at its last value until it is set. */
const jobsAside = new Set<string>()

/** What is left to do in the background, and what the last audit has said, by the database. */
export const measureBacklog = Effect.gen(function* () {
  const events = yield* db.first(
    () => sql<{ n: number; age: number | null }>`
      select count(*) as n, timestampdiff(microsecond, min(created_at), sysdate(3)) / 1e6 as age
      from outbox where published_at is null`
  )
  yield* set(unpublished, events?.n ?? 0)
  yield* set(oldest, Math.max(0, events?.age ?? 0))
  const consumers = yield* db.rows(
    () => sql<{ worker: string; n: number }>`
      select worker, coalesce((select max(sequence) from outbox), 0) - cast(state as signed) as n
      from worker_turns where ${CONSUMER_TURNS} and ${HAS_POSITION}`
  )
  for (const { n, worker } of consumers) yield* set(behind, Math.max(0, n), { consumer: worker })
  const aside = yield* db.rows(
    () => sql<{ job: string; n: number }>`select job, count(*) as n from set_aside group by job`
  )
  const jobs = new Map(aside.map(({ job, n }) => [job, n]))
  for (const job of jobs.keys()) jobsAside.add(job)
  for (const job of jobsAside) yield* set(setAside, jobs.get(job) ?? 0, { job })
  const verdicts = yield* db.rows((q) =>
    q
      .selectFrom("worker_turns")
      .select(["worker", "state", "last_round_at"])
      .where("worker", "in", [VERIFY, VERIFY_NEW])
  )
  for (const { last_round_at, state, worker } of verdicts) {
    if (last_round_at === null) continue
    const [isOk, at] = worker === VERIFY ? [verified, verifiedAt] : [newVerified, newVerifiedAt]
    yield* set(isOk, state === "ok" ? 1 : 0)
    yield* set(at, last_round_at.getTime() / 1_000)
  }
})

const VERIFY = "verify"
const VERIFY_NEW = "verify new"

/** Remembers what a whole audit has found, for the metrics of all processes. Right books clear what was found in new orders. */
export const rememberVerdict = Effect.fnUntraced(function* (isOk: boolean) {
  yield* db.rows(
    () => sql`insert into worker_turns (worker, state, last_round_at)
      values (${VERIFY}, ${isOk ? "ok" : "wrong"}, utc_timestamp(3))
      on duplicate key update state = values(state), last_round_at = values(last_round_at)`
  )
  if (isOk)
    yield* db.rows((q) => q.updateTable("worker_turns").set({ state: "ok" }).where("worker", "=", VERIFY_NEW))
})

/** Remembers what an audit of the new orders has found. A wrong order stays one when it is no longer new. */
export const rememberNewVerdict = (isOk: boolean) =>
  db.rows(
    () => sql`insert into worker_turns (worker, state, last_round_at)
      values (${VERIFY_NEW}, ${isOk ? "ok" : "wrong"}, utc_timestamp(3))
      on duplicate key update state = if(state = 'wrong', state, values(state)), last_round_at = values(last_round_at)`
  )
