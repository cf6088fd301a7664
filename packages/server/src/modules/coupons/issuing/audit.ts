import type { Coupon, CouponId, UserId } from "@holdfast/domain"
import { Effect, Option } from "effect"
import type { Findings } from "../../../platform/audit/report.ts"
import { longestPauseMs } from "../../../platform/jobs/runner.ts"
import { CouponGate, RESERVATION_MS } from "./gate.ts"
import { gateReconciler } from "./gate-reconciler.ts"
import { listCoupons } from "../campaigns/repository.ts"
import { listHolders } from "../repository.ts"

/**
 * Differences that are normal during a sale are confirmed, freed or repaired within this time: a reservation that was
 * made just now ends, the reconciler begins its next run after the longest pause, and looks at every gate.
 */
const REPAIRED_WITHIN_MS = RESERVATION_MS + longestPauseMs(gateReconciler) + 1_000
const LOOK_AGAIN_MS = 500
const AT_ONCE = 500
const PORTION = 5_000

/**
 * Compares the gate of every campaign with the database. A gate may lag behind, so a gate that differs is compared again
 * until it agrees, or until the reconciler must have repaired it. `undefined`: the auditor has no Redis.
 */
export const auditGates = Effect.gen(function* () {
  const gate = yield* Effect.serviceOption(CouponGate)
  if (Option.isNone(gate)) return undefined
  const deadlineMs = performance.now() + REPAIRED_WITHIN_MS
  let checked = 0
  const problems: Array<Readonly<Record<string, unknown>>> = []
  let before: CouponId | undefined
  do {
    const coupons: ReadonlyArray<Coupon> = yield* listCoupons(before, AT_ONCE)
    for (const { id } of coupons) {
      const found = yield* untilItFits(gate.value, id, deadlineMs)
      if (found.isBuilt) checked += 1
      problems.push(...found.problems)
    }
    before = coupons.length === AT_ONCE ? coupons.at(-1)?.id : undefined
  } while (before !== undefined)
  return { checked, problems } satisfies Findings
})

interface Found {
  readonly isBuilt: boolean
  readonly problems: ReadonlyArray<Readonly<Record<string, unknown>>>
}

const outOfReach = (coupon: CouponId, cause: unknown): Found => ({
  isBuilt: false,
  problems: [{ coupon, problem: "Redis is out of reach", cause: String(cause) }]
})

const untilItFits = Effect.fnUntraced(function* (
  gate: CouponGate["Service"],
  couponId: CouponId,
  deadlineMs: number
) {
  for (;;) {
    const found: Found = yield* compare(gate, couponId).pipe(
      Effect.catchTag("RedisUnavailable", ({ cause }) => Effect.succeed(outOfReach(couponId, cause)))
    )
    if (found.problems.length === 0 || performance.now() >= deadlineMs) return found
    yield* Effect.sleep(LOOK_AGAIN_MS)
  }
})

/**
 * The order of the reads: a holder in the gate was committed before the database is read, so the database must have the
 * coupon; a coupon in the database is in the gate afterwards, as a holder or as a reservation to be confirmed.
 */
const compare = Effect.fnUntraced(function* (gate: CouponGate["Service"], couponId: CouponId) {
  const before = yield* gate.members(couponId)
  const holders = yield* holdersOf(couponId)
  const state = yield* gate.look(couponId)
  if (state === undefined) return { isBuilt: false, problems: [] }
  const after = yield* gate.members(couponId)
  const known = new Set<string>([...after.holders, ...after.reserved])
  const strangers = before.holders.filter((userId) => !holders.has(userId))
  const unknown = [...holders].filter((userId) => !known.has(userId))
  const problems = [
    ...strangers.map((user) => ({ coupon: couponId, user, problem: "a holder in the gate only" })),
    ...unknown.map((user) => ({ coupon: couponId, user, problem: "a holder in the database only" })),
    ...state.overdue.map((user) => ({ coupon: couponId, user, problem: "a reservation past its deadline" }))
  ]
  return { isBuilt: true, problems }
})

const holdersOf = Effect.fnUntraced(function* (couponId: CouponId) {
  const holders = new Set<string>()
  let after: UserId | undefined
  do {
    const portion: ReadonlyArray<UserId> = yield* listHolders(couponId, after, PORTION)
    for (const userId of portion) holders.add(userId)
    after = portion.length === PORTION ? portion.at(-1) : undefined
  } while (after !== undefined)
  return holders
})
