import { describe, expect, test } from "vitest"
import { seededRandom } from "../../internal/random.ts"
import { checkLinearizable } from "../linearizability.ts"
import type { Model } from "../model.ts"
import type { Operation } from "../operation.ts"
import { fencedLock, idempotentService, stock, tryMutex, valueRegister } from "../testing/objects.ts"
import { simulate, type Simulated } from "../testing/simulate.ts"
import { fencedMutex } from "./fenced-mutex.ts"
import { idempotentCall } from "./idempotent-call.ts"
import { mutex } from "./mutex.ts"
import { register } from "./register.ts"
import { stockCounter, type StockInput, type StockOutput } from "./stock-counter.ts"

/** The number of histories out of 20 in which the checker finds a violation. */
const found = <State, Input, Output, Hidden>(
  model: Model<State, Input, Output>,
  object: Simulated<Hidden, Input, Output>
): number =>
  Array.from({ length: 20 }, (_, seed) =>
    checkLinearizable(simulate(object, { clients: 4, operations: 150 }, seededRandom(seed)), model)
  ).filter(({ verdict }) => verdict === "illegal").length

describe("a seeded bug is found in a", () => {
  test("mutex that any owner may release", () => {
    const bug: typeof tryMutex = {
      ...tryMutex,
      apply: (holder, input) =>
        input.action === "release" ? { state: null, output: true } : tryMutex.apply(holder, input)
    }
    expect(found(mutex(), bug)).toBeGreaterThan(0)
  })

  test("mutex that refuses while it is free", () => {
    const bug: Simulated<{ holder: string | null; calls: number }, MutexIn, boolean> = {
      initial: { holder: null, calls: 0 },
      nextInput: tryMutex.nextInput,
      apply: ({ holder, calls }, input) => {
        const next = tryMutex.apply(holder, input)
        const refuses = input.action === "acquire" && calls % 10 === 9
        return refuses || next === undefined
          ? { state: { holder, calls: calls + 1 }, output: false }
          : { state: { holder: next.state, calls: calls + 1 }, output: next.output }
      }
    }
    expect(found(mutex(), bug)).toBeGreaterThan(0)
    expect(found(mutex({ refuses: "always" }), bug)).toBe(0)
  })

  test("fenced mutex whose tokens restart when a lease expires", () => {
    const bug: typeof fencedLock = {
      ...fencedLock,
      apply: (state, input) =>
        input.action === "expire"
          ? { state: { ...state, holder: null, token: 0 }, output: true }
          : fencedLock.apply(state, input)
    }
    expect(found(fencedMutex(), bug)).toBe(20)
  })

  test("fenced mutex that accepts a write with an old token", () => {
    const bug: typeof fencedLock = {
      ...fencedLock,
      apply: (state, input) =>
        input.action === "write" ? { state, output: true } : fencedLock.apply(state, input)
    }
    expect(found(fencedMutex(), bug)).toBeGreaterThan(0)
  })

  test("stock that oversells its last piece", () => {
    const correct = stock(4)
    const bug: typeof correct = {
      ...correct,
      apply: (left, input) =>
        input.action === "take" && left > 0
          ? { state: Math.max(0, left - (input.quantity ?? 1)), output: true }
          : correct.apply(left, input)
    }
    expect(found(stockCounter({ initial: 4 }), bug)).toBe(20)
  })

  test("stock that refuses its last piece", () => {
    const correct = stock(4)
    const bug: typeof correct = {
      ...correct,
      apply: (left, input) =>
        input.action === "take" && left <= (input.quantity ?? 1)
          ? { state: left, output: false }
          : correct.apply(left, input)
    }
    expect(found(stockCounter({ initial: 4 }), bug)).toBe(20)
  })

  test("register whose refused compare-and-set writes nevertheless", () => {
    const bug: typeof valueRegister = {
      ...valueRegister,
      apply: (value, input) =>
        input.action === "cas"
          ? { state: input.to, output: value === input.from }
          : valueRegister.apply(value, input)
    }
    expect(found(register(0), bug)).toBe(20)
  })

  test("service that executes a repeated call again", () => {
    const bug: Simulated<Readonly<Record<string, number>>, IdempotentIn, IdempotentOut> = {
      initial: {},
      nextInput: idempotentService.nextInput,
      apply: (effects, input) => {
        const executed = effects[input.key] ?? 0
        if (input.action === "count") return { state: effects, output: executed }
        return { state: { ...effects, [input.key]: executed + 1 }, output: { answer: 1000 } }
      }
    }
    expect(found(idempotentCall(), bug)).toBe(20)
  })

  test("service that answers a repeated call differently", () => {
    const bug: typeof idempotentService = {
      ...idempotentService,
      apply: (answers, input) => {
        const next = idempotentService.apply(answers, input)
        if (next === undefined || typeof next.output === "number" || "reused" in next.output) return next
        return input.key in answers ? { ...next, output: { answer: -1 } } : next
      }
    }
    expect(found(idempotentCall(), bug)).toBe(20)
  })
})

type MutexIn = Parameters<typeof tryMutex.apply>[1]
type IdempotentIn = Parameters<typeof idempotentService.apply>[1]
type IdempotentOut = NonNullable<ReturnType<typeof idempotentService.apply>>["output"]

describe("partitions", () => {
  test("checks each product, lock and key separately", () => {
    const model = stockCounter({ initial: { shirt: 1, mug: 0 } })
    const take = (product: string, output: boolean, atNs: number): Operation<StockInput, StockOutput> => ({
      id: atNs,
      client: "c",
      input: { action: "take", product },
      calledAtNs: atNs,
      outcome: { status: "returned", output, returnedAtNs: atNs + 1 }
    })
    expect(checkLinearizable([take("shirt", true, 0), take("mug", false, 2)], model).verdict).toBe("ok")
    expect(checkLinearizable([take("shirt", true, 0), take("mug", true, 2)], model)).toMatchObject({
      verdict: "illegal",
      partition: "mug"
    })
  })
})
