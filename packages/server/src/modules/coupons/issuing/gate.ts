import type { Coupon, CouponId, UserId } from "@holdfast/domain"
import { Context, Effect, Layer } from "effect"
import { isWrongType, RedisStore, RedisUnavailable } from "@holdfast/locks"
import { KeyNamespace } from "../../../platform/db/key-namespace.ts"
import { gateScripts } from "./gate-scripts.ts"
import { IN_USE_MS } from "./rota.ts"

/**
 * How long a reservation holds its slot. Then the reconciler asks the database what became of it. Both times together
 * stay below the 5 seconds within which a slot is free again after a crash.
 */
export const RESERVATION_MS = 2_000

/** The lifetime of a set of holders without a gate, which a flush leaves behind. */
const ORPHAN_MS = 3_600_000

/** How long a gate outlives its campaign, for late confirmations and audits. */
const KEPT_AFTER_END_MS = 86_400_000

const OVERDUE_AT_ONCE = 1_000

/** The longest time to a deadline, unless the clock of Redis went back. */
const LATEST_MS = RESERVATION_MS + 1_000

/**
 * The gate's answer to a user: `reserved`, a slot is theirs until the deadline; `known`, they have a coupon already;
 * `pending`, they have a reservation already; `closed`, outside the campaign's window; `full`, no slot is free;
 * `missing`, there is no gate.
 */
export type Verdict = "reserved" | "known" | "pending" | "closed" | "full" | "missing"

/**
 * What a gate holds at one moment. Redis may hold anything: a fact that is no number is `NaN`, and whoever is named need
 * not be a user.
 */
export interface GateState {
  readonly quantity: number
  readonly startsAtMs: number
  readonly endsAtMs: number
  readonly holders: number
  readonly reserved: number
  /** Users whose reservation is past its deadline, the oldest first, about 1,000 of them. */
  readonly overdue: ReadonlyArray<string>
  /** As many of the holders as were asked for, drawn at random. */
  readonly someHolders: ReadonlyArray<string>
}

/** The gate of a campaign, in Redis. It knows nothing of the database and decides nothing: see admission.ts. */
export class CouponGate extends Context.Service<
  CouponGate,
  {
    readonly reserve: (couponId: CouponId, userId: UserId) => Effect.Effect<Verdict, RedisUnavailable>
    /** The campaigns that this process was asked about within the last 10 seconds, about 1,000 of them at most. */
    readonly inUse: () => ReadonlySet<CouponId>
    /** Turns reservations into coupons: these users' coupons are committed. */
    readonly confirm: (
      couponId: CouponId,
      userIds: ReadonlyArray<UserId>
    ) => Effect.Effect<void, RedisUnavailable>
    /** Frees slots: any, or only those past their deadline. */
    readonly release: (
      couponId: CouponId,
      userIds: ReadonlyArray<string>,
      which?: "overdue"
    ) => Effect.Effect<void, RedisUnavailable>
    /** Adds users with a coupon, also to a gate that does not exist yet. */
    readonly addHolders: (
      couponId: CouponId,
      userIds: ReadonlyArray<UserId>
    ) => Effect.Effect<void, RedisUnavailable>
    /** Removes users who never had a coupon. */
    readonly removeHolders: (
      couponId: CouponId,
      userIds: ReadonlyArray<string>
    ) => Effect.Effect<void, RedisUnavailable>
    /** Opens the gate if it has at least that many holders. `again`: some were lost on the way. */
    readonly open: (coupon: Coupon, holders: number) => Effect.Effect<"open" | "again", RedisUnavailable>
    /** `undefined`: there is no gate. */
    readonly look: (
      couponId: CouponId,
      someHolders?: number
    ) => Effect.Effect<GateState | undefined, RedisUnavailable>
    /** The users whom the gate takes for holders, and those with a reservation. */
    readonly members: (
      couponId: CouponId
    ) => Effect.Effect<
      { readonly holders: ReadonlyArray<string>; readonly reserved: ReadonlyArray<string> },
      RedisUnavailable
    >
  }
>()("@holdfast/server/CouponGate") {
  static readonly layer: Layer.Layer<CouponGate, never, RedisStore | KeyNamespace> = Layer.effect(
    CouponGate,
    Effect.gen(function* () {
      return makeGate(yield* RedisStore, yield* KeyNamespace)
    })
  )
}

/** One hash tag a campaign keeps its keys in one slot of a cluster. The holders of a past that was lost are in other keys. */
const keysOf = (couponId: CouponId, epoch: string) => {
  const start = `coupon:{${couponId}}:${epoch}`
  return [`${start}gate`, `${start}holders`, `${start}reserved`] as const
}

type GateKeys = ReturnType<typeof keysOf>

const makeGate = (
  store: RedisStore["Service"],
  namespace: KeyNamespace["Service"]
): CouponGate["Service"] => {
  const { client } = store
  const scripts = gateScripts(client)
  const ask = askOn(store, namespace)
  const run = (
    script: keyof typeof scripts,
    couponId: CouponId,
    ...args: ReadonlyArray<string | number>
  ): Effect.Effect<unknown, RedisUnavailable> => ask(couponId, (keys) => scripts[script](keys, ...args))
  const inPortions = (
    couponId: CouponId,
    userIds: ReadonlyArray<string>,
    command: (holders: string, portion: ReadonlyArray<string>) => Promise<unknown>
  ) =>
    Effect.forEach(
      portionsOf(userIds),
      (portion) => ask(couponId, ([, holders]) => command(holders, portion)),
      { discard: true }
    )
  const uses = trackUses()
  return {
    reserve: (couponId, userId) =>
      Effect.suspend(() => {
        uses.note(couponId)
        return Effect.map(run("reserve", couponId, userId, RESERVATION_MS), (verdict) => verdict as Verdict)
      }),
    inUse: uses.recent,
    confirm: (couponId, userIds) => run("confirm", couponId, ORPHAN_MS, ...userIds).pipe(Effect.asVoid),
    release: (couponId, userIds, which) =>
      run("release", couponId, which === undefined ? "" : LATEST_MS, ...userIds).pipe(Effect.asVoid),
    addHolders: (couponId, userIds) =>
      inPortions(couponId, userIds, (holders, portion) => client.sadd(holders, ...portion)),
    removeHolders: (couponId, userIds) =>
      inPortions(couponId, userIds, (holders, portion) => client.srem(holders, ...portion)),
    open: (coupon, holders) =>
      run(
        "open",
        coupon.id,
        coupon.quantity,
        coupon.startsAt.getTime(),
        coupon.endsAt.getTime(),
        coupon.endsAt.getTime() + KEPT_AFTER_END_MS,
        holders
      ).pipe(Effect.map((reply) => (reply === "open" ? "open" : "again"))),
    look: (couponId, someHolders = 0) =>
      Effect.map(run("look", couponId, LATEST_MS, OVERDUE_AT_ONCE, someHolders), (reply) =>
        stateOf(reply as LookReply)
      ),
    members: (couponId) =>
      ask(couponId, async ([, holders, reserved]) => ({
        holders: await client.smembers(holders),
        reserved: await client.zrange(reserved, "0", "-1")
      }))
  }
}

/** The campaigns in use that a process remembers. */
const MAXIMUM_IN_USE = 1_000

const trackUses = () => {
  const usedAtMs = new Map<CouponId, number>()
  return {
    note: (couponId: CouponId) => {
      if (usedAtMs.size < MAXIMUM_IN_USE || usedAtMs.has(couponId)) usedAtMs.set(couponId, performance.now())
    },
    recent: () => {
      const sinceMs = performance.now() - IN_USE_MS
      for (const [couponId, atMs] of usedAtMs) if (atMs < sinceMs) usedAtMs.delete(couponId)
      return new Set(usedAtMs.keys())
    }
  }
}

/**
 * Foreign data under the gate's keys is removed; the gate is rebuilt like one that never existed. Without the name of the
 * epoch a gate is as far away as without Redis.
 */
const askOn = ({ ask, client }: RedisStore["Service"], namespace: KeyNamespace["Service"]) => {
  const epoch = Effect.mapError(namespace.epoch, (cause) => new RedisUnavailable({ cause }))
  return <A>(
    couponId: CouponId,
    command: (keys: GateKeys) => Promise<A>
  ): Effect.Effect<A, RedisUnavailable> =>
    Effect.flatMap(epoch, (part) => {
      const keys = keysOf(couponId, part)
      const run = ask(() => command(keys))
      return Effect.catchIf(run, isWrongType, () =>
        Effect.andThen(
          ask(() => client.unlink(...keys)),
          run
        )
      )
    })
}

/** Users that one command takes: a longer one would block Redis. */
const PORTION = 1_000

const portionsOf = (userIds: ReadonlyArray<string>): ReadonlyArray<ReadonlyArray<string>> =>
  Array.from({ length: Math.ceil(userIds.length / PORTION) }, (_, index) =>
    userIds.slice(index * PORTION, (index + 1) * PORTION)
  )

type LookReply = readonly [
  holders: number,
  reserved: number,
  overdue: ReadonlyArray<string>,
  someHolders: ReadonlyArray<string>,
  quantity: string,
  startsAt: string,
  endsAt: string
]

const stateOf = ([holders, reserved, overdue, someHolders, ...facts]: LookReply): GateState | undefined => {
  const [quantity, startsAt, endsAt] = facts
  if (quantity === "") return undefined
  const [startsAtMs, endsAtMs] = [Number(startsAt), Number(endsAt)]
  return { quantity: Number(quantity), startsAtMs, endsAtMs, holders, reserved, overdue, someHolders }
}
