import {
  contract,
  OutOfStock,
  PointsChargeLock,
  type Product,
  RegisterLock,
  RequestInProgress,
  ServiceUnavailable,
  type Sku,
  UserId
} from "@holdfast/domain"
import type { LockTarget } from "@holdfast/domain/locks"
import { Effect, Exit, Fiber, Result } from "effect"
import { sql } from "kysely"
import type { RowDataPacket } from "mysql2"
import { randomUUID } from "node:crypto"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import type { App } from "../../app.ts"
import type { RunningServer } from "../../server.ts"
import { allowTable } from "../../../test/least-privilege.ts"
import { Shop } from "../../../test/shop.ts"
import { FailpointListener } from "../failpoints.ts"
import { tx } from "../db/transaction.ts"
import { WriteConflict } from "../db/sql-errors.ts"
import type { Call } from "../trpc/handler.ts"
import { command } from "./command.ts"
import { newSessionId } from "../db/ids.ts"

const sku = "counter" as Sku
const procedure = contract.admin.adjustStock
type AdjustStock = Call<typeof procedure>

const remainingAs = (stock: number) =>
  ({ sku, name: "counter", priceMinor: 1, stock, createdAt: new Date(0) }) as Product

/** Takes units from a counter, the smallest effect that is limited. Its lines in `trace` say which step ran. */
const takeUnits = (trace: Array<string> = []) => {
  const step = (name: string) => Effect.sync(() => void trace.push(name))
  return {
    prepare: ({ input }: AdjustStock) => Effect.as(step("prepare"), -input.delta),
    transaction: {
      lock: () =>
        Effect.andThen(
          step("lock rows"),
          tx.first(() => sql<{ n: number }>`select n from counters where id = 1 for update`)
        ).pipe(Effect.map((row) => row!.n)),
      decide: (remaining: number, units: ReadonlyArray<number>) => {
        trace.push("decide")
        let left = remaining
        return units.map((requested) => {
          if (requested > left) return Result.fail(new OutOfStock({ sku, requested, available: left }))
          left -= requested
          return Result.succeed({ output: remainingAs(left), units: requested })
        })
      },
      write: (taken: ReadonlyArray<{ readonly units: number }>) =>
        Effect.andThen(
          step("write"),
          Effect.forEach(
            taken,
            ({ units }) => tx.affected(() => sql`update counters set n = n - ${units} where id = 1`),
            { discard: true }
          )
        ),
      audit: () => undefined
    },
    afterCommit: () => step("after commit")
  }
}

describe("a command", () => {
  let shop: Shop
  let beside: RunningServer
  beforeAll(async () => {
    shop = await Shop.open()
    beside = await shop.openBeside()
    await shop.sql.query("CREATE TABLE counters (id INT PRIMARY KEY, n INT NOT NULL) ENGINE = InnoDB")
    await allowTable(shop.sql, shop.database, "counters")
  })
  afterAll(() => shop.stop())
  beforeEach(() => shop.sql.query("REPLACE INTO counters VALUES (1, 5)"))

  const remaining = async () => {
    const [rows] = await shop.sql.query<Array<RowDataPacket>>("SELECT n FROM counters")
    return rows[0]!["n"] as number
  }
  const storedAnswers = async (key: string) => {
    const [rows] = await shop.sql.query<Array<RowDataPacket>>(
      "SELECT answer FROM idempotency_keys WHERE idempotency_key = ?",
      [key]
    )
    return rows.length
  }

  const callOf = (idempotencyKey: string | undefined, delta = -1): AdjustStock => ({
    input: { sku, delta, reason: "test" },
    caller: { userId: UserId.make(shop.admin.id), role: "admin", sessionId: newSessionId() },
    request: {
      requestId: randomUUID(),
      address: "127.0.0.1",
      userAgent: "",
      idempotencyKey,
      lastEventId: undefined
    }
  })
  /** Runs on both servers in turn. */
  const run = <A, E>(effect: Effect.Effect<A, E, App>, server = 0) =>
    [shop.servers[0], beside][server % 2]!.runtime.runPromise(Effect.result(effect))

  /** The same command, whose transaction waits before its locking reads until it is let go. */
  const holding = <Target extends LockTarget>(
    steps: ReturnType<typeof takeUnits> & { readonly lock: () => Target }
  ) => {
    const inside = Promise.withResolvers<void>()
    const mayGoOn = Promise.withResolvers<void>()
    const wait = Effect.promise(() => {
      inside.resolve()
      return mayGoOn.promise
    })
    const transaction = {
      ...steps.transaction,
      lock: () => Effect.andThen(wait, steps.transaction.lock())
    }
    return {
      take: command(procedure, { ...steps, transaction }),
      inside: inside.promise,
      letGo: mayGoOn.resolve
    }
  }

  const numbered = (count: number) => Array.from({ length: count }, (_, index) => index)

  test("goes through its steps in the order in which they are written", async () => {
    const trace: Array<string> = []
    const steps = takeUnits(trace)
    const take = command(procedure, {
      ...steps,
      admit: () =>
        Effect.sync(() => {
          trace.push("admit")
          return {
            _tag: "Admitted",
            settle: (exit) => Effect.sync(() => void trace.push(`settle ${exit._tag}`))
          }
        }),
      lock: () => {
        trace.push("lock")
        return PointsChargeLock.of(UserId.make(shop.admin.id))
      }
    })
    const answer = await run(
      Effect.provideService(take(callOf(randomUUID())), FailpointListener, (name) => trace.push(name))
    )
    expect(answer).toEqual(Result.succeed(remainingAs(4)))
    expect(trace).toEqual([
      "prepare",
      "admit",
      "lock",
      "lock rows",
      "decide",
      "write",
      "answer stored",
      "admin.adjustStock: committed",
      "after commit",
      "settle Success"
    ])
  })

  // Guarantees: one key takes effect once, whatever the number of requests, and all of them get the one answer.
  test.each([
    ["without a lock", undefined],
    ["under a pessimistic lock", () => PointsChargeLock.of(UserId.make(shop.admin.id))]
  ])("40 requests with one key on two servers take one unit, %s", async (_, lock) => {
    const key = randomUUID()
    const take = command(procedure, { ...takeUnits(), ...(lock === undefined ? {} : { lock }) })
    const answers = await Promise.all(numbered(40).map((index) => run(take(callOf(key)), index)))
    expect(await remaining()).toBe(4)
    expect(await storedAnswers(key)).toBe(1)
    for (const answer of answers) expect(answer).toEqual(Result.succeed(remainingAs(4)))
  })

  // Guarantees: exactly as many calls win as there are units; the others get the declared refusal.
  test("40 calls for 5 units: 5 win, 35 are refused", async () => {
    const take = command(procedure, takeUnits())
    const answers = await Promise.all(numbered(40).map((index) => run(take(callOf(randomUUID())), index)))
    expect(answers.filter(Result.isSuccess)).toHaveLength(5)
    expect(await remaining()).toBe(0)
    for (const answer of answers.filter(Result.isFailure))
      expect(answer.failure).toEqual(new OutOfStock({ sku, requested: 1, available: 0 }))
  })

  // Guarantees: a refusal is an answer: the same key repeats it although the units have come back meanwhile.
  test("a refusal is stored and writes nothing", async () => {
    const trace: Array<string> = []
    const key = randomUUID()
    const take = command(procedure, takeUnits(trace))
    const refusal = Result.fail(new OutOfStock({ sku, requested: 6, available: 5 }))
    expect(await run(take(callOf(key, -6)))).toEqual(refusal)
    expect(trace).not.toContain("write")
    expect(trace).not.toContain("after commit")
    await shop.sql.query("UPDATE counters SET n = 50")
    expect(await run(take(callOf(key, -6)), 1)).toEqual(refusal)
    expect(await remaining()).toBe(50)
  })

  // Guarantees: a refusal of the admission takes no lock and no transaction, and is repeated like any other answer.
  test("a call that is not admitted is refused for good", async () => {
    const trace: Array<string> = []
    let open = false
    const refused = new OutOfStock({ sku, requested: 1, available: 0 })
    const take = command(procedure, {
      ...takeUnits(trace),
      admit: () =>
        Effect.succeed(
          open
            ? { _tag: "Admitted" as const, settle: () => Effect.void }
            : { _tag: "Refused" as const, error: refused }
        ),
      lock: () => {
        trace.push("lock")
        return PointsChargeLock.of(UserId.make(shop.admin.id))
      }
    })
    const key = randomUUID()
    expect(await run(take(callOf(key)))).toEqual(Result.fail(refused))
    expect(trace).toEqual(["prepare"])
    open = true
    expect(await run(take(callOf(key)))).toEqual(Result.fail(refused))
    expect(await run(take(callOf(randomUUID())))).toEqual(Result.succeed(remainingAs(4)))
  })

  test.each([
    ["a refusal", { delta: -6, write: undefined }],
    ["a defect", { delta: -1, write: () => Effect.die("a defect") }]
  ])("an admission is told of %s", async (_, { delta, write }) => {
    const exits: Array<Exit.Exit<unknown, unknown>> = []
    const steps = takeUnits()
    const take = command(procedure, {
      ...steps,
      transaction: { ...steps.transaction, ...(write === undefined ? {} : { write }) },
      admit: () =>
        Effect.succeed({ _tag: "Admitted", settle: (exit) => Effect.sync(() => void exits.push(exit)) })
    })
    await run(Effect.exit(take(callOf(undefined, delta))))
    expect(exits).toHaveLength(1)
    expect(Exit.isFailure(exits[0]!)).toBe(true)
    expect(await remaining()).toBe(5)
  })

  // Guarantees: a write conflict repeats the transaction from its locking reads; nothing of the first attempt remains.
  test("a write conflict starts the transaction over", async () => {
    const trace: Array<string> = []
    const { transaction, ...steps } = takeUnits(trace)
    let attempts = 0
    const take = command(procedure, {
      ...steps,
      transaction: {
        ...transaction,
        write: (taken) =>
          Effect.andThen(
            transaction.write(taken),
            Effect.suspend(() =>
              ++attempts === 1 ? Effect.fail(new WriteConflict({ errno: 1213 })) : Effect.void
            )
          )
      }
    })
    expect(await run(take(callOf(randomUUID())))).toEqual(Result.succeed(remainingAs(4)))
    expect(trace.filter((name) => name === "lock rows")).toHaveLength(2)
    expect(await remaining()).toBe(4)
  })

  // Guarantees: whoever finds an optimistic lock taken is told so and changes nothing; once there is an answer, it is theirs.
  test("a taken optimistic lock gives the stored answer, or RequestInProgress", async () => {
    const key = randomUUID()
    const steps = { ...takeUnits(), lock: () => RegisterLock.of("counter@shop.test") }
    const take = command(procedure, steps)
    const holder = holding(steps)
    const first = run(holder.take(callOf(key)))
    await holder.inside
    const second = await run(take(callOf(key)), 1)
    expect(Result.isFailure(second) && second.failure).toBeInstanceOf(RequestInProgress)
    expect(await remaining()).toBe(5)
    holder.letGo()
    expect(await first).toEqual(Result.succeed(remainingAs(4)))

    // Another key now holds the lock, while the answer of the first one is stored.
    const nextHolder = holding(steps)
    const other = run(nextHolder.take(callOf(randomUUID())))
    await nextHolder.inside
    expect(await run(take(callOf(key)), 1)).toEqual(Result.succeed(remainingAs(4)))
    nextHolder.letGo()
    expect(await other).toEqual(Result.succeed(remainingAs(3)))
  })

  // Guarantees: a call that is interrupted leaves neither rows nor a lock behind.
  test("interruption rolls back and frees the lock", async () => {
    const { transaction, ...steps } = takeUnits()
    const lock = () => PointsChargeLock.of(UserId.make(shop.admin.id))
    const written = Promise.withResolvers<void>()
    const hanging = command(procedure, {
      ...steps,
      lock,
      transaction: {
        ...transaction,
        write: (taken) =>
          transaction
            .write(taken)
            .pipe(Effect.andThen(Effect.sync(() => written.resolve())), Effect.andThen(Effect.never))
      }
    })
    const fiber = shop.servers[0].runtime.runFork(hanging(callOf(undefined)))
    await written.promise
    await Effect.runPromise(Fiber.interrupt(fiber))
    const take = command(procedure, { ...steps, lock, transaction })
    expect(await run(take(callOf(undefined)), 1)).toEqual(Result.succeed(remainingAs(4)))
  })

  test("a pessimistic lock that stays taken is answered with ServiceUnavailable", async () => {
    const steps = { ...takeUnits(), lock: () => PointsChargeLock.of(UserId.make(shop.admin.id)) }
    const holder = holding(steps)
    const first = run(holder.take(callOf(undefined)), 1)
    await holder.inside
    const answer = await run(command(procedure, steps)(callOf(undefined)))
    expect(Result.isFailure(answer) && answer.failure).toBeInstanceOf(ServiceUnavailable)
    holder.letGo()
    expect(await first).toEqual(Result.succeed(remainingAs(4)))
  })
})
