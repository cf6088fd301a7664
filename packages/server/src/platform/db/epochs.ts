import type { ServiceUnavailable } from "@holdfast/domain"
import { askRedis, RedisStore } from "@holdfast/locks"
import { Context, Effect, Layer, Schedule } from "effect"
import { sql } from "kysely"
import { Database, db } from "./database.ts"
import { KeyNamespace } from "./key-namespace.ts"
import { beginEpoch, MICROSECONDS } from "./new-epoch.ts"
import type { DatabaseUnavailable, WriteConflict } from "./sql-errors.ts"
import { Transactions, tx, type Tx } from "./transaction.ts"

/** How often the database's beat is read, and raised. */
const LOOK_EVERY = "2 seconds"
const BEAT_EVERY_US = 1_000_000

/** How long Redis remembers the last beat. */
const REMEMBERED_S = 30 * 86_400

/** How long an epoch lasts at least, and when Redis alone asks for the next: its hint may be anybody's. */
const EPOCH_LASTS_US = 2_000_000
const HINTED_EVERY_US = 10_000_000

/**
 * Notices that an older backup of the database was restored. The database counts a beat every two seconds; a database that is
 * behind a beat that this process has read, or that Redis remembers, has lost what came after its own. It then begins a
 * new epoch, whichever process is first, and nothing that Redis has of the lost past is found any more.
 */
export class Epochs extends Context.Service<
  Epochs,
  {
    /** Looks now: compares the beats, begins a new epoch if there has to be one, and learns the epoch. */
    readonly look: Effect.Effect<void, ServiceUnavailable>
    /** Whether the database, as it is in the open transaction, is behind what this process has read before. */
    readonly isBehind: Effect.Effect<boolean, WriteConflict | DatabaseUnavailable, Tx>
  }
>()("@holdfast/server/Epochs") {
  static readonly layer: Layer.Layer<Epochs, never, Database | Transactions | RedisStore | KeyNamespace> =
    Layer.effect(
      Epochs,
      Effect.gen(function* () {
        const context = yield* Effect.context<Database | Transactions | RedisStore | KeyNamespace>()
        const seen: Seen = { beat: 0, isSure: false }
        const look = Effect.provideContext(lookOnce(seen), context)
        // Before the migration there is nothing to look at.
        yield* Effect.forkScoped(Effect.repeat(Effect.exit(look), Schedule.spaced(LOOK_EVERY)))
        const isBehind = Effect.suspend(() => {
          const known = seen.beat
          return Effect.map(beatInTransaction, (beat) => beat < known)
        })
        return { look, isBehind }
      })
    )
}

/** What a process knows of the beats. */
interface Seen {
  beat: number
  /** Whether the process has compared its beat with that of Redis: before, it may have read a restored database only. */
  isSure: boolean
}

const beatInTransaction = tx
  .first((q) => q.selectFrom("installation").select("beat"))
  .pipe(Effect.map((row) => row!.beat))

const readBeat = db
  .first((q) =>
    q.selectFrom("installation").select(["epoch", "beat", sql<number>`${MICROSECONDS}`.as("now")])
  )
  .pipe(Effect.map((row) => row!))

const lookOnce = Effect.fnUntraced(function* (seen: Seen) {
  const { learn } = yield* KeyNamespace
  // Redis first: what it remembers was in the database before.
  const hinted = yield* readHint
  let row = yield* readBeat
  const hint = hinted !== undefined && hinted <= row.now ? hinted : 0
  const mark = Math.max(seen.beat, hint)
  if (row.beat < mark) {
    const restAtLeastUs = row.beat < seen.beat ? EPOCH_LASTS_US : HINTED_EVERY_US
    if (yield* beginEpoch({ epoch: row.epoch, mark, restAtLeastUs }))
      yield* Effect.logWarning("the database was restored from an older backup: a new epoch begins")
    row = yield* readBeat
  }
  learn(row.epoch)
  // The epoch is too young to end.
  if (row.beat < mark) return
  seen.isSure ||= hinted !== undefined
  // A process that knows nothing of the past must not raise the beat of a restored database above what others remember.
  const isDue = row.now - row.beat >= BEAT_EVERY_US && seen.isSure
  const isRaised = isDue && (yield* raiseBeat(row))
  seen.beat = Math.max(seen.beat, isRaised ? row.now : row.beat)
  if (hinted !== undefined && hint < seen.beat) yield* writeHint(seen.beat)
})

/** Only from the state that was read: whatever else the database has become is looked at first. */
const raiseBeat = ({
  beat,
  epoch,
  now
}: {
  readonly beat: number
  readonly epoch: number
  readonly now: number
}) =>
  Effect.map(
    db.affected((q) =>
      q.updateTable("installation").set({ beat: now }).where("beat", "=", beat).where("epoch", "=", epoch)
    ),
    (raised) => raised === 1
  )

const hintKey = Effect.map(
  KeyNamespace.use(({ prefix }) => prefix),
  (prefix) => `${prefix}beat`
)

/** `undefined`: Redis does not answer. What is no beat counts as 0. */
const readHint = Effect.gen(function* () {
  const key = yield* hintKey
  const text = yield* askRedis((client) => client.get(key)).pipe(
    Effect.catchTag("RedisUnavailable", ({ everywhere }) => Effect.succeed(everywhere ? undefined : ""))
  )
  return text === undefined ? undefined : /^[0-9]{1,16}$/.test(text ?? "") ? Number(text) : 0
})

const writeHint = Effect.fnUntraced(function* (beat: number) {
  const key = yield* hintKey
  yield* Effect.ignore(askRedis((client) => client.set(key, String(beat), "EX", REMEMBERED_S)))
})
