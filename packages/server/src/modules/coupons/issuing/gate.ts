import { type Coupon, type CouponId, UserId } from "@holdfast/domain"
import { Context, Effect, Layer } from "effect"
import { askRedis, RedisStore, type RedisUnavailable } from "@holdfast/locks"
import { type GateScript, gateScripts } from "./gate-scripts.ts"

/**
 * For how long a reservation holds its slot. After it, somebody asks the database what became of it; so this and one
 * round of the keeper (see keeper.ts) stay below the 5 seconds in which a slot comes back after a crash.
 */
export const RESERVATION_MS = 2_000

/** A set of holders without a gate is the trace of a flush; it is forgotten after this. */
const ORPHAN_MS = 3_600_000

/** A gate outlives its campaign by this, for late confirmations and audits. */
const KEPT_AFTER_END_MS = 86_400_000

const OVERDUE_AT_ONCE = 1_000

/** No deadline is further away than this, unless the clock of Redis went back. */
const LATEST_MS = RESERVATION_MS + 1_000

/**
 * What the gate says to a user: `reserved`, a slot is theirs until the deadline; `known`, they have a coupon or a
 * reservation already; `closed`, not in the campaign's time; `full`, no slot is free; `missing`, it must be built.
 */
export type Verdict = "reserved" | "known" | "closed" | "full" | "missing"

/** What a gate holds at one moment. */
export interface GateState {
  readonly quantity: number
  readonly holders: number
  readonly reserved: number
  /** Users whose reservation is past its deadline, the oldest first, about 1,000 of them. */
  readonly overdue: ReadonlyArray<UserId>
}

/** Admission to a campaign, in Redis. It knows nothing of the database and decides nothing: see admission.ts. */
export class CouponGate extends Context.Service<
  CouponGate,
  {
    readonly reserve: (couponId: CouponId, userId: UserId) => Effect.Effect<Verdict, RedisUnavailable>
    /** These users have their coupon: that is committed. */
    readonly confirm: (
      couponId: CouponId,
      userIds: ReadonlyArray<UserId>
    ) => Effect.Effect<void, RedisUnavailable>
    /** Gives slots back: any, or only those whose deadline is over. */
    readonly release: (
      couponId: CouponId,
      userIds: ReadonlyArray<UserId>,
      which?: "overdue"
    ) => Effect.Effect<void, RedisUnavailable>
    /** Writes holders into a gate that may not be there yet. */
    readonly addHolders: (
      couponId: CouponId,
      userIds: ReadonlyArray<UserId>
    ) => Effect.Effect<void, RedisUnavailable>
    /** Takes out users who never had a coupon. */
    readonly removeHolders: (
      couponId: CouponId,
      userIds: ReadonlyArray<UserId>
    ) => Effect.Effect<void, RedisUnavailable>
    /** Opens the gate when it has that many holders at least. `again`: some were lost on the way. */
    readonly open: (coupon: Coupon, holders: number) => Effect.Effect<"open" | "again", RedisUnavailable>
    /** `undefined`: there is no gate. */
    readonly look: (couponId: CouponId) => Effect.Effect<GateState | undefined, RedisUnavailable>
    /** Everybody whom the gate takes for a holder, and everybody with a reservation. */
    readonly members: (
      couponId: CouponId
    ) => Effect.Effect<
      { readonly holders: ReadonlyArray<UserId>; readonly reserved: ReadonlyArray<UserId> },
      RedisUnavailable
    >
  }
>()("@holdfast/server/CouponGate") {
  static readonly layer: Layer.Layer<CouponGate, never, RedisStore> = Layer.effect(
    CouponGate,
    Effect.map(RedisStore, (store) => makeGate(store))
  )
}

/** One hash tag a campaign, so that its keys live in one slot of a cluster. */
const keysOf = (couponId: CouponId) => {
  const tag = `coupon:{${couponId}}`
  return [`${tag}:gate`, `${tag}:holders`, `${tag}:reserved`] as const
}

const makeGate = (store: RedisStore["Service"]): CouponGate["Service"] => {
  const { client } = store
  const ask = <A>(command: () => Promise<A>) => Effect.provideService(askRedis(command), RedisStore, store)
  const { confirm, look, open, release, reserve } = gateScripts(client)
  const run = (script: GateScript, couponId: CouponId, ...args: ReadonlyArray<string | number>) =>
    ask(() => script(keysOf(couponId), ...args)).pipe(
      Effect.catchIf(isOfWrongType, () =>
        // Foreign data under the gate's keys: it is removed, and the gate rebuilt like one that never existed.
        Effect.as(
          ask(() => client.unlink(...keysOf(couponId))),
          "missing"
        )
      )
    )
  const setOf = (couponId: CouponId) => keysOf(couponId)[1]
  return {
    reserve: (couponId, userId) =>
      Effect.map(run(reserve, couponId, userId, RESERVATION_MS), (verdict) => verdict as Verdict),
    confirm: (couponId, userIds) => run(confirm, couponId, ORPHAN_MS, ...userIds).pipe(Effect.asVoid),
    release: (couponId, userIds, which) =>
      run(release, couponId, which === undefined ? "" : LATEST_MS, ...userIds).pipe(Effect.asVoid),
    addHolders: (couponId, userIds) =>
      Effect.forEach(portionsOf(userIds), (portion) => ask(() => client.sadd(setOf(couponId), ...portion)), {
        discard: true
      }),
    removeHolders: (couponId, userIds) =>
      Effect.forEach(portionsOf(userIds), (portion) => ask(() => client.srem(setOf(couponId), ...portion)), {
        discard: true
      }),
    open: (coupon, holders) =>
      run(
        open,
        coupon.id,
        coupon.quantity,
        coupon.startsAt.getTime(),
        coupon.endsAt.getTime(),
        coupon.endsAt.getTime() + KEPT_AFTER_END_MS,
        holders
      ).pipe(Effect.map((reply) => (reply === "open" ? "open" : "again"))),
    look: (couponId) =>
      Effect.map(run(look, couponId, LATEST_MS, OVERDUE_AT_ONCE), (reply) =>
        reply === "missing" ? undefined : stateOf(reply as LookReply)
      ),
    members: (couponId) =>
      ask(async () => {
        const [, holders, reserved] = keysOf(couponId)
        return {
          holders: (await client.smembers(holders)).map((id) => UserId.make(id)),
          reserved: (await client.zrange(reserved, "0", "-1")).map((id) => UserId.make(id))
        }
      })
  }
}

/** A command takes this many users at most, so that Redis is never busy with one for long. */
const PORTION = 1_000

const portionsOf = (userIds: ReadonlyArray<UserId>): ReadonlyArray<ReadonlyArray<UserId>> =>
  Array.from({ length: Math.ceil(userIds.length / PORTION) }, (_, index) =>
    userIds.slice(index * PORTION, (index + 1) * PORTION)
  )

type LookReply = readonly [
  quantity: string,
  holders: number,
  reserved: number,
  overdue: ReadonlyArray<string>
]

const stateOf = ([quantity, holders, reserved, overdue]: LookReply): GateState | undefined =>
  quantity === ""
    ? undefined
    : { quantity: Number(quantity), holders, reserved, overdue: overdue.map((id) => UserId.make(id)) }

const isOfWrongType = ({ cause }: RedisUnavailable): boolean =>
  cause instanceof Error && /^(ERR .*)?WRONGTYPE/.test(cause.message)
