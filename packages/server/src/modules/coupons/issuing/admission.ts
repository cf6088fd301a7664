import {
  type Coupon,
  CouponAlreadyIssued,
  CouponEnded,
  type CouponId,
  CouponNotFound,
  CouponNotStarted,
  CouponPaused,
  CouponSoldOut,
  type ServiceUnavailable,
  type UserCoupon,
  type UserId
} from "@holdfast/domain"
import type { RedisUnavailable } from "@holdfast/locks"
import { Context, Effect, Exit, Layer, Metric } from "effect"
import type { Admission } from "../../../platform/command/command.ts"
import { makeCoalesced } from "../../../platform/db/coalesce.ts"
import type { Database } from "../../../platform/db/database.ts"
import { failpoint } from "../../../platform/failpoints.ts"
import { findCoupon, findCouponNow } from "../campaigns/repository.ts"
import { findCouponsOfUsers, holdersAmong, listHolders } from "../repository.ts"
import { CouponGate, RESERVATION_MS, type Verdict } from "./gate.ts"

declare module "../../../platform/failpoints.ts" {
  interface Failpoints {
    "issue: slot reserved": true
    "issue: confirmed": true
  }
}

/** Why a campaign issues no coupon now. */
export type Closed = CouponNotFound | CouponNotStarted | CouponEnded | CouponPaused | CouponSoldOut

/** What keeps a campaign from issuing a coupon at this moment; `undefined`: nothing. */
export const closedBecause = (coupon: Coupon, now: Date): Exclude<Closed, CouponNotFound> | undefined => {
  const { endsAt, id: couponId, issued, paused, quantity, startsAt } = coupon
  if (now < startsAt) return new CouponNotStarted({ couponId, startsAt })
  if (now >= endsAt) return new CouponEnded({ couponId, endedAt: endsAt })
  if (paused) return new CouponPaused({ couponId })
  return issued >= quantity ? new CouponSoldOut({ couponId, quantity }) : undefined
}

/**
 * What a user gets before the issuing transaction: a refusal for good, or admission, with or without a reserved slot
 * (the gate is away, knows the user already, or took too long).
 */
type Slot =
  | { readonly _tag: "refused"; readonly error: Closed | CouponAlreadyIssued }
  | { readonly _tag: "admitted"; readonly reserved: boolean }

/** How long a caller waits for slots that others have reserved. By then each of those is issued or free again. */
const WAIT_MS = RESERVATION_MS + 1_000
const FIRST_PAUSE_MS = 10
const LONGEST_PAUSE_MS = 200

/** Holders are read and written in batches of this size. */
const BATCH = 5_000
const BUILD_ATTEMPTS = 3

/**
 * Admission to the issuing transaction. Redis admits: without a free slot a call does not reach the campaign's row. The
 * database refuses: whatever the gate says, "sold out" is answered only after a read of the row that is younger than
 * the request. Concurrent requests share that read, so it costs the same for ten as for ten thousand. A wrong gate
 * therefore never costs anyone a coupon.
 */
export class CouponAdmission extends Context.Service<
  CouponAdmission,
  {
    readonly admit: (couponId: CouponId, userId: UserId) => Effect.Effect<Slot, ServiceUnavailable>
    /** The campaign as it is when this is called, or later, and the database's time then. */
    readonly current: (
      couponId: CouponId
    ) => Effect.Effect<{ readonly coupon: Coupon; readonly now: Date } | undefined, ServiceUnavailable>
    /** Makes the gate agree with the database. Safe at any moment. */
    readonly rebuild: (couponId: CouponId) => Effect.Effect<void, RedisUnavailable | ServiceUnavailable>
  }
>()("@holdfast/server/CouponAdmission") {
  static readonly layer: Layer.Layer<CouponAdmission, never, CouponGate | Database> = Layer.effect(
    CouponAdmission,
    Effect.gen(function* () {
      const gate = yield* CouponGate
      const current = yield* makeCoalesced(findCouponNow)
      const rebuild = yield* makeCoalesced(rebuildGate)
      return { admit: makeAdmit({ gate, current, rebuild, couponOf: yield* makeCouponOf }), current, rebuild }
    })
  )
}

/** The `admit` step of the command: reserves a slot, and settles it by the way the call ends. */
export const admitToCampaign = Effect.fnUntraced(function* ({
  couponId,
  userId
}: {
  readonly couponId: CouponId
  readonly userId: UserId
}): Effect.fn.Return<
  Admission<Closed | CouponAlreadyIssued, CouponGate | Database>,
  ServiceUnavailable,
  CouponAdmission
> {
  const { admit } = yield* CouponAdmission
  const slot = yield* admit(couponId, userId)
  if (slot._tag === "refused") return { _tag: "Refused", error: slot.error }
  yield* failpoint("issue: slot reserved")
  return { _tag: "Admitted", settle: (exit) => settleSlot(couponId, userId, slot, exit) }
})

/** The coupon that a user has. All who ask while a read is under way share the next one. */
const makeCouponOf = Effect.gen(function* () {
  const asked = new Map<CouponId, Set<UserId>>()
  const read = yield* makeCoalesced((couponId: CouponId) =>
    Effect.suspend(() => {
      const users = [...(asked.get(couponId) ?? [])]
      asked.delete(couponId)
      return findCouponsOfUsers(couponId, users)
    })
  )
  return (couponId: CouponId, userId: UserId) =>
    Effect.suspend(() => {
      asked.set(couponId, (asked.get(couponId) ?? new Set()).add(userId))
      return Effect.map(read(couponId), (coupons) => coupons.get(userId))
    })
})

interface AdmitParts {
  readonly gate: CouponGate["Service"]
  readonly current: CouponAdmission["Service"]["current"]
  readonly rebuild: CouponAdmission["Service"]["rebuild"]
  readonly couponOf: (
    couponId: CouponId,
    userId: UserId
  ) => Effect.Effect<UserCoupon | undefined, ServiceUnavailable>
}

const verdicts = Metric.counter("holdfast_gate_verdicts_total", {
  description:
    "What the gates said to those who asked for a slot: reserved, full, known, pending, missing, away and the like",
  incremental: true
})

const countOf = (verdict: Verdict | "away") => Metric.update(Metric.withAttributes(verdicts, { verdict }), 1)
/** Made once: each call gets a verdict. */
const counts = {
  reserved: countOf("reserved"),
  known: countOf("known"),
  pending: countOf("pending"),
  closed: countOf("closed"),
  full: countOf("full"),
  missing: countOf("missing"),
  away: countOf("away")
} satisfies Record<Verdict | "away", Effect.Effect<void>>
/** A Redis that lies may say anything. */
const counted = (verdict: Verdict | "away"): Effect.Effect<void> => counts[verdict] ?? countOf(verdict)

const withoutSlot: Slot = { _tag: "admitted", reserved: false }

const makeAdmit = ({ couponOf, current, gate, rebuild }: AdmitParts): CouponAdmission["Service"]["admit"] =>
  Effect.fnUntraced(function* (couponId, userId): Effect.fn.Return<Slot, ServiceUnavailable> {
    const deadlineMs = performance.now() + WAIT_MS
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      const verdict = yield* orAway(gate.reserve(couponId, userId))
      yield* counted(verdict)
      if (verdict === "reserved") return { _tag: "admitted", reserved: true }
      if (verdict === "known" || verdict === "pending") {
        const coupon = yield* couponOf(couponId, userId)
        if (coupon === undefined) return withoutSlot
        // Whoever made the reservation has died since, or is about to confirm it.
        if (verdict === "pending") yield* Effect.ignore(gate.confirm(couponId, [userId]))
        return { _tag: "refused", error: new CouponAlreadyIssued({ coupon }) }
      }
      const found = yield* current(couponId)
      const isOpen = found !== undefined && found.now < found.coupon.endsAt
      if (verdict === "missing" && isOpen && performance.now() < deadlineMs) {
        yield* rebuild(couponId).pipe(Effect.catch(() => Effect.sleep(pauseMs)))
        continue
      }
      const error =
        found === undefined ? new CouponNotFound({ couponId }) : closedBecause(found.coupon, found.now)
      if (error !== undefined) {
        // A gate that is away or gone knows no holders.
        const isUnknown = verdict === "away" || verdict === "missing"
        const coupon = isUnknown ? yield* couponOf(couponId, userId) : undefined
        return { _tag: "refused", error: coupon === undefined ? error : new CouponAlreadyIssued({ coupon }) }
      }
      // Closed for the gate and open for the database: their clocks differ, and the database decides.
      if (verdict !== "full" || performance.now() >= deadlineMs) return withoutSlot
      if (yield* isWrong(gate, couponId, found!.coupon)) yield* Effect.ignore(rebuild(couponId))
      else yield* Effect.sleep(pauseMs * (0.5 + Math.random() / 2))
    }
  })

const orAway = (verdict: Effect.Effect<Verdict, RedisUnavailable>): Effect.Effect<Verdict | "away"> =>
  Effect.catchTag(verdict, "RedisUnavailable", () => Effect.succeed("away" as const))

/**
 * The database has coupons left and the gate admitted no one. That is right while the rest is reserved; it is wrong
 * when the gate has another quantity, or more holders than the database had a moment before.
 */
const isWrong = (gate: CouponGate["Service"], couponId: CouponId, coupon: Coupon): Effect.Effect<boolean> =>
  gate.look(couponId).pipe(
    Effect.map((state) => state === undefined || state.quantity !== coupon.quantity || state.reserved === 0),
    Effect.catch(() => Effect.succeed(false))
  )

/**
 * Writes into the gate what the database says. The order of the reads makes it safe during a sale. A holder in the gate
 * was committed before, so the database, read afterwards, knows them: a holder it does not know never was one. A holder
 * in the database stays one, so adding them is right however old the read is. Reservations of requests in flight are
 * left alone: each of them ends by itself or is reaped.
 */
const rebuildGate = Effect.fn("rebuildGate")(function* (couponId: CouponId) {
  const gate = yield* CouponGate
  for (let attempt = 0; attempt < BUILD_ATTEMPTS; attempt += 1) {
    const unconfirmed = new Set((yield* gate.members(couponId)).holders)
    const coupon = yield* findCoupon(couponId)
    if (coupon === undefined) return
    let holders = 0
    let after: UserId | undefined
    do {
      const batch: ReadonlyArray<UserId> = yield* listHolders(couponId, after, BATCH)
      yield* gate.addHolders(couponId, batch)
      for (const userId of batch) unconfirmed.delete(userId)
      holders += batch.length
      after = batch.length === BATCH ? batch.at(-1) : undefined
    } while (after !== undefined)
    yield* gate.removeHolders(couponId, [...unconfirmed])
    if ((yield* gate.open(coupon, holders)) === "open") return
  }
  yield* Effect.logWarning("coupons: a gate was flushed repeatedly while it was rebuilt")
})

/**
 * Ends a reservation the way the issuing ended. A definitive refusal frees the slot at once. If the outcome of the
 * transaction is unknown, the database is asked first; if it does not answer, the reconciler asks it later.
 */
const settleSlot = Effect.fnUntraced(
  function* (
    couponId: CouponId,
    userId: UserId,
    { reserved }: { readonly reserved: boolean },
    exit: Exit.Exit<unknown, unknown>
  ) {
    const gate = yield* CouponGate
    const outcome = Exit.isSuccess(exit) ? "issued" : outcomeOf(exit)
    // A call without a slot has none to free: the one that the gate knows is another call's.
    if (!reserved && outcome !== "issued") return
    if (outcome === "refused") return yield* gate.release(couponId, [userId])
    const isHolder = outcome === "issued" || (yield* holdersAmong(couponId, [userId])).has(userId)
    if (!isHolder) return yield* gate.release(couponId, [userId])
    yield* gate.confirm(couponId, [userId])
    return yield* failpoint("issue: confirmed")
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
