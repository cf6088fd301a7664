import { FenceStale } from "@holdfast/domain/locks"
import { eventually, expectExactly, race } from "@holdfast/testkit"
import { type FaultProxy, faultProxy } from "@holdfast/testkit/faults"
import { CheckedHistory, fencedMutex } from "@holdfast/testkit/history"
import { Cause, Effect, Exit } from "effect"
import { setTimeout } from "node:timers/promises"
import { describe, expect, test } from "vitest"
import { redisFixture } from "../test/fixture.ts"
import { ledgerFixture } from "../test/ledger.ts"
import { gate, ledger, turn } from "../test/members.ts"
import { assertHeld, withLock } from "./with-lock.ts"

const MEMBERS = 4
const SECTIONS = 18
const KEY = "ledger:a"

/** Longer than the lease of the scope, so that a holder that is cut off loses the lock. */
const CUT_OFF_MS = 1_300

/** Whether a holder that is cut off can be interrupted, or works on. */
type CutOff = "obedient" | "stubborn"
const cutOffs: ReadonlyMap<number, CutOff> = new Map([
  [5, "obedient"],
  [11, "stubborn"]
])

const redis = redisFixture()
const books = ledgerFixture()

describe("a fenced lock whose holders are cut off from Redis", () => {
  // Guarantees: never two holders, tokens that only rise, and no write under a token that a later holder has passed.
  test("has a history of one holder at a time", { timeout: 60_000 }, async () => {
    const upstream = { host: redis.service.host, port: redis.service.port }
    await using proxies = await openProxies(upstream)
    const members = proxies.all.map((proxy) => redis.member({}, proxy.through(redis.service.url())))
    const history = new CheckedHistory(fencedMutex(), "fenced lock with holders cut off")

    /** One acquisition, recorded step by step. Resolves to whether the holder kept the lock to the end. */
    const section = async (member: number, nth: number): Promise<boolean> => {
      const owner = `member ${member}, section ${nth}`
      const proxy = proxies.all[member]!
      const cutOff = cutOffs.get(nth)
      const acquire = history.call(owner, { action: "acquire", owner })
      let release: ReturnType<typeof history.call> | undefined
      let expire: ReturnType<typeof history.call> | undefined
      let identifier: string | null | undefined

      const book = (token: number) =>
        Effect.suspend(() => {
          const write = history.call(owner, { action: "write", owner, token })
          return Effect.onExit(books.inTransaction(books.book("a")), (exit) =>
            Effect.sync(() => settleWrite(write, exit))
          )
        })
      const body = Effect.gen(function* () {
        const token = (yield* assertHeld(ledger)).token(KEY) ?? 0
        acquire.returned(token)
        identifier = yield* Effect.promise(() => redis.plain.get(`mutex:${KEY}`))
        if (cutOff !== undefined) proxy.freeze()
        expire = history.call("time", { action: "expire", owner })
        if (cutOff !== undefined) {
          history.mark("cut off", owner)
          const late = Effect.andThen(Effect.sleep(CUT_OFF_MS), book(token))
          yield* cutOff === "stubborn" ? Effect.uninterruptible(late) : late
        } else yield* book(token)
        release = history.call(owner, { action: "release", owner })
      })
      const exit = await members[member]!.exit(withLock(ledger, "a")(body).pipe(Effect.provide(books.layer)))
      proxy.thaw()
      if (Exit.isSuccess(exit)) {
        expire?.failed("the lock was kept")
        release?.returned(true)
        return true
      }
      if (expire === undefined) {
        acquire.lost(exit.cause)
        // A member whose Redis counts as away refuses at once.
        await setTimeout(20)
        return false
      }
      // The lease ended between the cut and the moment at which its key is gone.
      await eventually(async () => expect(await redis.plain.get(`mutex:${KEY}`)).not.toBe(identifier ?? ""), {
        timeoutMs: 10_000
      })
      expire.returned(true)
      return false
    }

    const working = async (member: number) => {
      let kept = 0
      for (let nth = 0; kept < SECTIONS; nth += 1) if (await section(member, nth)) kept += 1
    }
    const result = await race(MEMBERS, working, { timeoutMs: 50_000 })
    expectExactly(result, MEMBERS)
    history.expectLinearizable()

    // Leases did end under their holders, and the holders that worked on booked nothing.
    const answered = (action: string) =>
      history.operations.filter(
        ({ input, outcome }) =>
          input.action === action && outcome.status === "returned" && outcome.output === true
      ).length
    expect(answered("expire")).toBeGreaterThanOrEqual(MEMBERS)
    expect(await books.read("a")).toEqual({ counter: answered("write"), entries: answered("write") })
  })
})

describe("an owner", () => {
  // Guarantees: an owner that found its lock by looking keeps it when the message of the hand-over arrives.
  test("does not pass its lock on when its own grant arrives late", async () => {
    const { run } = redis.member()
    const holder = gate()
    const entered = gate()
    const running = run(withLock(turn, "a")(Effect.andThen(Effect.sync(entered.open), holder.passed)))
    await Effect.runPromise(entered.passed)
    const owner = String(await redis.plain.get("mutex:turn:a"))
    const [channel = "", number = ""] = owner.split("/")
    // A second grant goes to a waiter that has left. Once its lock is passed on, the first message was received, too.
    await redis.plain.set("mutex:turn:b", `${channel}/4711`)
    await eventually(async () => {
      for (const [who, key] of [
        [number, "turn:a"],
        ["4711", "turn:b"]
      ])
        await redis.plain.publish(channel, `${who} 1 ${Date.now()} 10000 mutex:${key}`)
      expect(await redis.plain.get("mutex:turn:b")).toBeNull()
    })
    expect(await redis.plain.get("mutex:turn:a")).toBe(owner)
    holder.open()
    await running
  })
})

const settleWrite = (
  write: { returned: (accepted: boolean) => void; lost: (error: unknown) => void },
  exit: Exit.Exit<unknown, unknown>
): void => {
  if (Exit.isSuccess(exit)) return write.returned(true)
  const error = Cause.squash(exit.cause)
  if (error instanceof FenceStale) write.returned(false)
  else write.lost(error)
}

const openProxies = async (upstream: { readonly host: string; readonly port: number }) => {
  const all: ReadonlyArray<FaultProxy> = await Promise.all(
    Array.from({ length: MEMBERS }, () => faultProxy({ upstream, protocol: "redis" }))
  )
  return {
    all,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(all.map((proxy) => proxy.close()))
    }
  }
}
