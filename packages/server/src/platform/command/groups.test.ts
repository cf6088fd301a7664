import { ServiceUnavailable } from "@holdfast/domain"
import { eventually } from "@holdfast/testkit"
import { Cause, Effect, Exit, Fiber, ManagedRuntime } from "effect"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { Blocked, type Ending, type GroupKind, Groups, type HeldRows } from "./groups.ts"

type Kind = GroupKind<string, string, string, never>

const numbered = (count: number) => Array.from({ length: count }, (_, index) => `call ${index}`)

describe("calls that share transactions", () => {
  let runtime: ManagedRuntime.ManagedRuntime<Groups, never>
  beforeEach(() => {
    runtime = ManagedRuntime.make(Groups.layer)
  })
  afterEach(() => runtime.dispose())

  /** A command whose transactions wait until the test lets them go. Every call is answered with itself. */
  const makeCommand = (overrides: Partial<Kind> = {}) => {
    const transactions: Array<{
      readonly calls: ReadonlyArray<string>
      readonly heldRows: HeldRows
      readonly go: () => void
      readonly end: (endings: ReadonlyArray<Ending<string>>) => void
    }> = []
    let ended = 0
    const kind: Kind = {
      name: "a command",
      skipsHeldRows: false,
      weigh: () => 1,
      transact: (calls, heldRows) =>
        Effect.callback<ReadonlyArray<Ending<string>>>((resume) => {
          const end = (endings: ReadonlyArray<Ending<string>>) => resume(Effect.succeed(endings))
          transactions.push({ calls, heldRows, end, go: () => end(calls) })
          return Effect.sync(() => void (ended += 1))
        }),
      afterCommit: () => Effect.void,
      ...overrides
    }
    return {
      transactions,
      interrupted: () => ended,
      join: (call: string, queue = "queue") =>
        runtime.runFork(Groups.use((groups) => groups.join(kind, queue, call))),
      started: (count: number) => eventually(() => expect(transactions).toHaveLength(count))
    }
  }
  const exitOf = <A, E>(fiber: Fiber.Fiber<A, E>) => Effect.runPromise(Fiber.await(fiber))

  // Guarantees: a lone call waits for nobody, and nobody waits longer than for the one transaction that runs.
  test("the calls that arrive while a transaction runs form the next one, in order of arrival", async () => {
    const { join, started, transactions } = makeCommand()
    const first = join("alone")
    await started(1)
    const others = numbered(10).map((call) => join(call))
    await Effect.runPromise(Effect.yieldNow)
    transactions[0]!.go()
    expect(await exitOf(first)).toEqual(Exit.succeed("alone"))
    await started(2)
    expect(transactions[0]!.calls).toEqual(["alone"])
    expect(transactions[1]!.calls).toEqual(numbered(10))
    transactions[1]!.go()
    for (const [index, fiber] of others.entries())
      expect(await exitOf(fiber)).toEqual(Exit.succeed(`call ${index}`))
  })

  test("queues run beside each other", async () => {
    const { join, started, transactions } = makeCommand()
    join("one", "tea")
    const other = join("two", "coffee")
    await started(2)
    transactions.find(({ calls }) => calls[0] === "two")!.go()
    expect(await exitOf(other)).toEqual(Exit.succeed("two"))
  })

  test("a transaction carries 64 calls at most, and no more rows than its statements do", async () => {
    const { join, started, transactions } = makeCommand({
      weigh: (call) => (call === "heavy" ? 5_000 : 1)
    })
    join("first")
    await started(1)
    for (const call of [...numbered(70), "heavy", "last"]) join(call)
    await Effect.runPromise(Effect.sleep(5))
    for (let index = 0; index < 5; index++) {
      await started(index + 1)
      transactions[index]!.go()
    }
    expect(transactions.map(({ calls }) => calls.length)).toEqual([1, 64, 6, 1, 1])
    expect(transactions[3]!.calls).toEqual(["heavy"])
  })

  test("more calls than a queue holds are refused at once", async () => {
    const { join, started } = makeCommand()
    join("first")
    await started(1)
    const fibers = Array.from({ length: 5_001 }, (_, index) => join(`${index}`))
    expect(await exitOf(fibers.at(-1)!)).toEqual(Exit.fail(new ServiceUnavailable({ retryAfterMs: 250 })))
    await Effect.runPromise(Fiber.interruptAll(fibers))
  })

  test("calls that would wait for longer than they may are refused at once", async () => {
    const { join, started, transactions } = makeCommand()
    join("first")
    await started(1)
    join("second")
    await Effect.runPromise(Effect.sleep(500))
    transactions[0]!.go()
    await started(2)
    // A transaction takes a quarter of a second at least, and 2,500 calls take 39 transactions.
    const fibers = Array.from({ length: 2_500 }, (_, index) => join(`${index}`))
    expect(await exitOf(fibers.at(-1)!)).toEqual(Exit.fail(new ServiceUnavailable({ retryAfterMs: 250 })))
    expect(fibers[0]!.pollUnsafe()).toBeUndefined()
    await Effect.runPromise(Fiber.interruptAll(fibers))
  })

  test("say how long the first of them has been waiting", async () => {
    const waitMs = () => runtime.runSync(Groups.use((groups) => Effect.sync(groups.waitMs)))
    const { join, started, transactions } = makeCommand()
    const first = join("first")
    await started(1)
    expect(waitMs()).toBe(0)
    const second = join("second")
    await eventually(() => expect(waitMs()).toBeGreaterThan(50))
    transactions[0]!.go()
    await started(2)
    expect(waitMs()).toBe(0)
    transactions[1]!.go()
    await Promise.all([exitOf(first), exitOf(second)])
  })

  // Guarantees: who waits can leave; who runs waits for the end, because its lock must outlive the transaction.
  test("an interrupted call leaves the queue, or waits for the end of its transaction", async () => {
    const { interrupted, join, started, transactions } = makeCommand()
    const first = join("first")
    await started(1)
    const [stays, leaves, left] = [join("stays"), join("leaves"), join("left")]
    await Effect.runPromise(Effect.yieldNow)
    await Effect.runPromise(Fiber.interrupt(left))
    transactions[0]!.go()
    await exitOf(first)
    await started(2)
    expect(transactions[1]!.calls).toEqual(["stays", "leaves"])
    leaves.interruptUnsafe()
    await Effect.runPromise(Effect.sleep(20))
    expect(leaves.pollUnsafe()).toBeUndefined()
    expect(interrupted()).toBe(0)
    transactions[1]!.go()
    expect(await exitOf(stays)).toEqual(Exit.succeed("stays"))
    expect(Exit.isFailure(await exitOf(leaves))).toBe(true)
  })

  test("a transaction that all of its callers have left is interrupted, and the queue goes on", async () => {
    const { interrupted, join, started, transactions } = makeCommand()
    const leaving = join("leaves")
    await started(1)
    const next = join("next")
    await Effect.runPromise(Effect.yieldNow)
    await Effect.runPromise(Fiber.interrupt(leaving))
    expect(interrupted()).toBe(1)
    await started(2)
    transactions[1]!.go()
    expect(await exitOf(next)).toEqual(Exit.succeed("next"))
  })

  // Guarantees: a call is answered while its client still waits, also when it waited for another transaction before.
  test("calls that wait for too long are asked to try again", { timeout: 30_000 }, async () => {
    const { interrupted, join, started } = makeCommand()
    const startedAtMs = performance.now()
    const first = join("first")
    await started(1)
    const second = join("second")
    const busy = Exit.fail(new ServiceUnavailable({ retryAfterMs: 250 }))
    expect(await exitOf(first)).toEqual(busy)
    expect(await exitOf(second)).toEqual(busy)
    expect(performance.now() - startedAtMs).toBeLessThan(10_000)
    expect(interrupted()).toBe(2)
  })

  test("a failure is every call's", async () => {
    const { join } = makeCommand({ transact: () => Effect.fail("away") })
    const fibers = numbered(5).map((call) => join(call))
    for (const fiber of fibers) expect(await exitOf(fiber)).toEqual(Exit.fail("away"))
  })

  // Guarantees: whoever makes a transaction die is alone in that; the others are answered.
  test("a defect is found by halves", async () => {
    const sizes: Array<number> = []
    const { join } = makeCommand({
      transact: (calls) => {
        sizes.push(calls.length)
        return calls.includes("call 5") ? Effect.die("poison") : Effect.succeed(calls)
      }
    })
    const fibers = numbered(16).map((call) => join(call))
    for (const [index, fiber] of fibers.entries()) {
      const exit = await exitOf(fiber)
      if (index === 5) expect(Exit.isFailure(exit) && Cause.hasDies(exit.cause)).toBe(true)
      else expect(exit).toEqual(Exit.succeed(`call ${index}`))
    }
    expect(sizes).toEqual([16, 8, 4, 4, 2, 1, 1, 2, 8])
  })

  // Guarantees: a row that is held from outside delays only the calls that need it.
  test("a call that needs a held row waits for it in a queue of its own", async () => {
    const held = Promise.withResolvers<void>()
    const { join } = makeCommand({
      skipsHeldRows: true,
      transact: (calls, heldRows) => {
        const endings = calls.map((call) =>
          call.startsWith("tea") && heldRows !== "wait" ? new Blocked("tea") : call
        )
        const waits = heldRows === "wait" ? Effect.promise(() => held.promise) : Effect.void
        return Effect.as(waits, endings)
      }
    })
    const [tea, coffee, moreTea] = [join("tea 1"), join("coffee"), join("tea 2")]
    expect(await exitOf(coffee)).toEqual(Exit.succeed("coffee"))
    expect(await exitOf(join("coffee, later"))).toEqual(Exit.succeed("coffee, later"))
    expect(tea.pollUnsafe()).toBeUndefined()
    held.resolve()
    expect(await exitOf(tea)).toEqual(Exit.succeed("tea 1"))
    expect(await exitOf(moreTea)).toEqual(Exit.succeed("tea 2"))
  })

  // Guarantees: rows that the groups of other processes hold cost one transaction more, and not one for each row.
  test("calls whose rows are busy wait for them together, and others go on", async () => {
    const { join, started, transactions } = makeCommand({ skipsHeldRows: true })
    const busy = ["tea", "coffee", "sugar"].map((call) => join(call))
    await started(1)
    transactions[0]!.end(["tea", "coffee", "sugar"].map((row) => new Blocked(row)))
    await started(2)
    const other = join("milk")
    await started(3)
    expect(transactions.map(({ calls, heldRows }) => [heldRows, ...calls])).toEqual([
      ["skip", "tea", "coffee", "sugar"],
      ["wait briefly", "tea", "coffee", "sugar"],
      ["skip", "milk"]
    ])
    transactions[2]!.go()
    expect(await exitOf(other)).toEqual(Exit.succeed("milk"))
    transactions[1]!.go()
    for (const fiber of busy) expect(Exit.isSuccess(await exitOf(fiber))).toBe(true)
  })

  // Guarantees: those who have waited in vain for one row delay nobody who waits for another.
  test("calls whose rows stay held wait for each in a queue of its own", async () => {
    const { join, started, transactions } = makeCommand({ skipsHeldRows: true })
    const fibers = ["tea 1", "coffee", "tea 2"].map((call) => join(call))
    await started(1)
    transactions[0]!.end(["tea", "coffee", "tea"].map((row) => new Blocked(row)))
    await started(2)
    transactions[1]!.end(transactions[1]!.calls.map(() => new Blocked(undefined)))
    await started(4)
    expect(transactions.slice(2).map(({ calls, heldRows }) => [heldRows, ...calls])).toEqual([
      ["wait", "tea 1", "tea 2"],
      ["wait", "coffee"]
    ])
    const later = join("tea 3")
    await started(5)
    transactions[4]!.end([new Blocked("tea")])
    transactions[3]!.go()
    expect(await exitOf(fibers[1]!)).toEqual(Exit.succeed("coffee"))
    transactions[2]!.go()
    await started(6)
    expect(transactions[5]).toMatchObject({ heldRows: "wait", calls: ["tea 3"] })
    transactions[5]!.go()
    for (const fiber of [...fibers, later]) expect(Exit.isSuccess(await exitOf(fiber))).toBe(true)
  })

  test("calls that wait for held rows keep four connections and no more", async () => {
    let waiting = 0
    let most = 0
    const held = Promise.withResolvers<void>()
    const { join } = makeCommand({
      skipsHeldRows: true,
      transact: (calls, heldRows) =>
        heldRows !== "wait"
          ? Effect.succeed(calls.map((call) => new Blocked(heldRows === "skip" ? call : undefined)))
          : Effect.promise(async () => {
              most = Math.max(most, ++waiting)
              await held.promise
              waiting -= 1
              return calls
            })
    })
    const fibers = numbered(10).map((call) => join(call))
    await eventually(() => expect(waiting).toBe(4))
    held.resolve()
    for (const [index, fiber] of fibers.entries())
      expect(await exitOf(fiber)).toEqual(Exit.succeed(`call ${index}`))
    expect(most).toBe(4)
  })

  test("after the commit comes what the command does then, before the answers", async () => {
    const done: Array<string> = []
    const { join } = makeCommand({
      transact: (calls) => Effect.succeed(calls),
      afterCommit: (answered) => Effect.sync(() => void done.push(...answered.map(({ answer }) => answer)))
    })
    const fibers = numbered(3).map((call) => join(call))
    expect(await exitOf(fibers[2]!)).toEqual(Exit.succeed("call 2"))
    expect(done).toEqual(numbered(3))
  })

  test("nobody waits for an answer of a server that has stopped", async () => {
    const { join, started } = makeCommand()
    const running = join("runs")
    await started(1)
    const waiting = join("waits")
    await Effect.runPromise(Effect.yieldNow)
    await runtime.dispose()
    expect(Exit.isFailure(await exitOf(running))).toBe(true)
    expect(Exit.isFailure(await exitOf(waiting))).toBe(true)
  })
})
