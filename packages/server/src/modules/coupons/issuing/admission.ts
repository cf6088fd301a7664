import {
  type Coupon,
  CouponEnded,
  type CouponId,
  CouponNotFound,
  CouponNotStarted,
  CouponPaused,
  CouponSoldOut,
  type ServiceUnavailable,
  type UserId
} from "@holdfast/domain"
import { Clock, Context, Effect, Exit, Layer, Semaphore } from "effect"
import { makeCoalesced } from "../../../platform/db/coalesce.ts"
import type { Database } from "../../../platform/db/database.ts"
import { CouponGate, type GateAway, RESERVATION_MS, type Verdict } from "./gate.ts"
import { findCoupon, holdersAmong, listHolders } from "../campaigns/repository.ts"

/** Why nobody gets a coupon of this campaign now. */
export type Closed = CouponNotFound | CouponNotStarted | CouponEnded | CouponPaused | CouponSoldOut

/** What is in the way of issuing a coupon at this moment; `undefined`: nothing. */
export const closedBecause = (coupon: Coupon, nowMs: number): Exclude<Closed, CouponNotFound> | undefined => {
  const { endsAt, id: couponId, issued, paused, quantity, startsAt } = coupon
  if (nowMs < startsAt.getTime()) return new CouponNotStarted({ couponId, startsAt })
  if (nowMs >= endsAt.getTime()) return new CouponEnded({ couponId, endedAt: endsAt })
  if (paused) return new CouponPaused({ couponId })
  return issued >= quantity ? new CouponSoldOut({ couponId, quantity }) : undefined
}

/**
 * How a user stands before the issuing transaction: refused for good, or let through, with a slot of the gate reserved
 * or without (the gate is away, or knows the user already, or took too long).
 */
export type Admission =
  | { readonly _tag: "refused"; readonly error: Closed }
  | { readonly _tag: "admitted"; readonly reserved: boolean }

/** How long a caller waits for slots that others have reserved; by then each of them is issued or back. */
const WAIT_MS = RESERVATION_MS + 1_000
const FIRST_PAUSE_MS = 10
const LONGEST_PAUSE_MS = 200

/** Holders are read and written in portions of this size. */
const PORTION = 5_000
const BUILD_ATTEMPTS = 3

/**
 * The way to the issuing transaction. Redis admits: without a free slot nobody gets through to the campaign's row. The
 * database refuses: whatever the gate says, "sold out" is answered only after a look at the row that is younger than
 * the request. That look is shared by everybody who waits for one, so that it costs the same for ten as for ten
 * thousand. So a gate that is wrong, whichever way, never costs anybody a coupon.
 */
export class CouponAdmission extends Context.Service<
  CouponAdmission,
  {
    readonly admit: (couponId: CouponId, userId: UserId) => Effect.Effect<Admission, ServiceUnavailable>
    /** Runs the issuing transaction when it is this campaign's turn in this process. */
    readonly inLine: (
      couponId: CouponId
    ) => <A, E, R>(transaction: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
    /** The campaign as it is now, at the earliest when it was asked for. */
    readonly current: (couponId: CouponId) => Effect.Effect<Coupon | undefined, ServiceUnavailable>
    /** Makes the gate say what the database says. Harmless at any moment. */
    readonly rebuild: (couponId: CouponId) => Effect.Effect<void, GateAway | ServiceUnavailable>
  }
>()("@holdfast/server/CouponAdmission") {
  static readonly layer: Layer.Layer<CouponAdmission, never, CouponGate | Database> = Layer.effect(
    CouponAdmission,
    Effect.gen(function* () {
      const gate = yield* CouponGate
      const current = yield* makeCoalesced(findCoupon)
      const rebuild = yield* makeCoalesced(rebuildGate)
      const admit = makeAdmit({ gate, current, rebuild, hasCoupon: yield* holderCheck })
      return { admit, current, inLine: makeLines(), rebuild }
    })
  )
}

/**
 * The transactions of a campaign follow one another anyway, at its row. Those that wait there hold a connection each,
 * so no more than a few of a process may: the others wait here, and the rest of the shop has connections left.
 */
const TRANSACTIONS_AT_ONCE = 4

const makeLines = (): CouponAdmission["Service"]["inLine"] => {
  const lines = new Map<CouponId, { readonly permits: Semaphore.Semaphore; callers: number }>()
  const enter = (couponId: CouponId) =>
    Effect.sync(() => {
      const line = lines.get(couponId) ?? { permits: Semaphore.makeUnsafe(TRANSACTIONS_AT_ONCE), callers: 0 }
      line.callers += 1
      lines.set(couponId, line)
      return line
    })
  return (couponId) => (transaction) =>
    Effect.acquireUseRelease(
      enter(couponId),
      ({ permits }) => permits.withPermits(1)(transaction),
      (line) =>
        Effect.sync(() => {
          line.callers -= 1
          if (line.callers === 0) lines.delete(couponId)
        })
    )
}

const holderCheck = Effect.map(
  Effect.context<Database>(),
  (context) => (couponId: CouponId, userId: UserId) =>
    Effect.map(Effect.provideContext(holdersAmong(couponId, [userId]), context), (holders) =>
      holders.has(userId)
    )
)

interface AdmitParts {
  readonly gate: CouponGate["Service"]
  readonly current: CouponAdmission["Service"]["current"]
  readonly rebuild: CouponAdmission["Service"]["rebuild"]
  readonly hasCoupon: (couponId: CouponId, userId: UserId) => Effect.Effect<boolean, ServiceUnavailable>
}

const letThrough: Admission = { _tag: "admitted", reserved: false }

const makeAdmit = ({ current, gate, hasCoupon, rebuild }: AdmitParts): CouponAdmission["Service"]["admit"] =>
  Effect.fnUntraced(function* (couponId, userId) {
    const deadlineMs = (yield* Clock.currentTimeMillis) + WAIT_MS
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      const verdict = yield* ask(gate.reserve(couponId, userId))
      if (verdict === "reserved") return { _tag: "admitted", reserved: true }
      if (verdict === "known") return letThrough
      const coupon = yield* current(couponId)
      const nowMs = yield* Clock.currentTimeMillis
      if (
        verdict === "missing" &&
        coupon !== undefined &&
        nowMs < Math.min(deadlineMs, coupon.endsAt.getTime())
      ) {
        yield* rebuild(couponId).pipe(Effect.catch(() => Effect.sleep(pauseMs)))
        continue
      }
      const error = coupon === undefined ? new CouponNotFound({ couponId }) : closedBecause(coupon, nowMs)
      if (error !== undefined) {
        // Without a gate that knows the user, the transaction says what they have, or what they were answered before.
        const isUnknown = verdict === "away" || verdict === "missing"
        const isHolder = isUnknown && (yield* hasCoupon(couponId, userId))
        return isHolder ? letThrough : { _tag: "refused", error }
      }
      // Closed for the gate and open for the database: their clocks differ, and the database's side is the one that counts.
      if (verdict !== "full" || nowMs >= deadlineMs) return letThrough
      if (yield* isWrong(gate, couponId, coupon!)) yield* Effect.ignore(rebuild(couponId))
      else yield* Effect.sleep(pauseMs * (0.5 + Math.random() / 2))
    }
  })

const ask = (verdict: Effect.Effect<Verdict, GateAway>): Effect.Effect<Verdict | "away"> =>
  Effect.catchTag(verdict, "GateAway", () => Effect.succeed("away" as const))

/**
 * The database has coupons left and the gate let nobody in. That is right while the rest is reserved; it is wrong when
 * the gate counts another quantity, or has more holders than the database had a moment before.
 */
const isWrong = (gate: CouponGate["Service"], couponId: CouponId, coupon: Coupon): Effect.Effect<boolean> =>
  gate.look(couponId).pipe(
    Effect.map((state) => state === undefined || state.quantity !== coupon.quantity || state.reserved === 0),
    Effect.catch(() => Effect.succeed(false))
  )

/**
 * Writes into the gate what the database says. The order of the looks makes it safe in the middle of a sale. Who is a
 * holder in the gate was committed before, so the database, asked afterwards, knows them: whom it does not know never
 * was one. Who is a holder in the database stays one, so adding them is right however long ago it was read. And the
 * reservations of requests in flight are left alone: each ends by itself, or is reaped.
 */
const rebuildGate = Effect.fn("rebuildGate")(function* (couponId: CouponId) {
  const gate = yield* CouponGate
  for (let attempt = 0; attempt < BUILD_ATTEMPTS; attempt += 1) {
    const supposed = new Set<UserId>((yield* gate.members(couponId)).holders)
    const coupon = yield* findCoupon(couponId)
    if (coupon === undefined) return
    let holders = 0
    let after: UserId | undefined
    do {
      const portion: ReadonlyArray<UserId> = yield* listHolders(couponId, after, PORTION)
      yield* gate.addHolders(couponId, portion)
      for (const userId of portion) supposed.delete(userId)
      holders += portion.length
      after = portion.length === PORTION ? portion.at(-1) : undefined
    } while (after !== undefined)
    yield* gate.removeHolders(couponId, [...supposed])
    if ((yield* gate.open(coupon, holders)) === "open") return
  }
  yield* Effect.logWarning("coupons: a gate was flushed again and again while it was built")
})

/**
 * Ends an admission the way the issuing ended. A definitive refusal gives the slot back at once. Where nobody knows
 * what became of the transaction, the database is asked first; where it does not answer, the keeper asks it later.
 */
export const settleAdmission = Effect.fnUntraced(
  function* (
    couponId: CouponId,
    userId: UserId,
    { reserved }: { readonly reserved: boolean },
    exit: Exit.Exit<unknown, unknown>
  ) {
    const gate = yield* CouponGate
    const outcome = Exit.isSuccess(exit) ? "issued" : outcomeOf(exit)
    // Without a slot of its own it has none to give back: the one that the gate knows is another request's.
    if (!reserved && outcome !== "issued") return
    if (outcome === "refused") return yield* gate.release(couponId, [userId])
    const isHolder = outcome === "issued" || (yield* holdersAmong(couponId, [userId])).has(userId)
    return yield* isHolder ? gate.confirm(couponId, [userId]) : gate.release(couponId, [userId])
  },
  (settled) => Effect.ignore(settled)
)

const outcomeOf = (exit: Exit.Failure<unknown, unknown>): "issued" | "refused" | "unknown" => {
  const failure = Exit.findError(exit)
  if (failure._tag !== "Success") return "unknown"
  const { _tag, retryable } = failure.success as { readonly _tag?: string; readonly retryable?: boolean }
  if (_tag === "CouponAlreadyIssued") return "issued"
  return retryable === false ? "refused" : "unknown"
}
