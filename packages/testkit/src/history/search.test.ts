import { describe, expect, test } from "vitest"
import { seededRandom, type Random } from "../internal/random.ts"
import { checkLinearizable } from "./linearizability.ts"
import type { Model } from "./model.ts"
import { fencedMutex } from "./models/fenced-mutex.ts"
import { idempotentCall } from "./models/idempotent-call.ts"
import { keyValue, type KeyValueInput, type KeyValueOutput } from "./models/key-value.ts"
import { UnsoundForesightError } from "./model-errors.ts"
import { mutex } from "./models/mutex.ts"
import { register, type RegisterInput } from "./models/register.ts"
import { stockCounter } from "./models/stock-counter.ts"
import type { Operation } from "./operation.ts"
import { isLinearizable } from "./testing/brute-force.ts"
import {
  fencedLock,
  idempotentService,
  stock,
  textStore,
  tryMutex,
  valueRegister,
  waitingMutex,
  withStaleRead
} from "./testing/objects.ts"
import { operationsOf, type Line } from "./testing/operations.ts"
import { simulate, type Simulated } from "./testing/simulate.ts"

interface Subject {
  readonly name: string
  /** Compares the checker with the definition on one small history, half of them with a changed output. */
  readonly agrees: (seed: number) => "both ok" | "both illegal" | "they differ"
  /** Checks one long history of a correct object. */
  readonly checksCorrect: (seed: number) => string
}

const subject = <State, Input, Output, Hidden>(
  name: string,
  model: Model<State, Input, Output>,
  object: Simulated<Hidden, Input, Output>,
  otherOutput: (output: Output, random: Random) => Output
): Subject => ({
  name,
  agrees: (seed) => {
    const random = seededRandom(seed)
    const size = { clients: 3, operations: 6, lostShare: 0.05 }
    const correct = simulate(object, size, random)
    const history = seed % 2 === 0 ? correct : withOtherOutput(correct, otherOutput, random)
    const expected = isLinearizable(history, model)
    if ((checkLinearizable(history, model).verdict === "ok") !== expected) return "they differ"
    return expected ? "both ok" : "both illegal"
  },
  checksCorrect: (seed) => {
    const size = { clients: 8, operations: 200, lostShare: seed % 2 === 0 ? 0 : 0.01 }
    return checkLinearizable(simulate(object, size, seededRandom(seed)), model).verdict
  }
})

/** Changes the output of one operation, so the history may or may not stay linearizable. */
const withOtherOutput = <Input, Output>(
  history: ReadonlyArray<Operation<Input, Output>>,
  otherOutput: (output: Output, random: Random) => Output,
  random: Random
): Array<Operation<Input, Output>> => {
  const changed = random.below(history.length)
  return history.map((operation, index) => {
    const { outcome } = operation
    if (index !== changed || outcome.status !== "returned") return operation
    return { ...operation, outcome: { ...outcome, output: otherOutput(outcome.output, random) } }
  })
}

const subjects: ReadonlyArray<Subject> = [
  subject("waiting mutex", mutex(), waitingMutex, (output) => !output),
  subject("try mutex", mutex(), tryMutex, (output) => !output),
  subject("fenced mutex", fencedMutex(), fencedLock, (output, random) => {
    if (typeof output === "boolean") return !output
    return random.pick([null, 1, 3, 6, 9])
  }),
  subject("stock", stockCounter({ initial: 4 }), stock(4), (output, random) =>
    typeof output === "boolean" ? !output : random.below(6)
  ),
  subject("register", register(0), valueRegister, (output, random) =>
    typeof output === "boolean" ? !output : random.below(4)
  ),
  // Few short texts, so that many orders explain a read.
  subject("key-value store", keyValue(), textStore(1, 3), (output, random) =>
    random.pick([output, "", "a", "b", "ab", "ba", "aab"])
  ),
  subject("idempotent call", idempotentCall(), idempotentService, (output, random) => {
    if (typeof output === "number") return random.below(3)
    return random.pick([{ answer: 1000 }, { answer: 1001 }, { reused: true } as const])
  })
]

describe.each(subjects)("$name", ({ agrees, checksCorrect }) => {
  test("agrees with the definition on 300 small histories", () => {
    const verdicts = Map.groupBy(
      Array.from({ length: 300 }, (_, seed) => agrees(seed)),
      (verdict) => verdict
    )
    expect(verdicts.get("they differ")).toBeUndefined()
    expect(verdicts.get("both ok")?.length).toBeGreaterThan(60)
    expect(verdicts.get("both illegal")?.length).toBeGreaterThan(30)
  })

  test("accepts 20 long histories of a correct object, including lost replies", () => {
    const verdicts = Array.from({ length: 20 }, (_, seed) => checksCorrect(seed))
    expect(verdicts).toEqual(Array.from({ length: 20 }, () => "ok"))
  })
})

describe("limits", () => {
  const history = simulate(valueRegister, { clients: 8, operations: 500 }, seededRandom(1))

  test("returns unknown when steps, configurations or time run out", () => {
    expect(checkLinearizable(history, register(0), { maxSteps: 10 })).toMatchObject({
      verdict: "unknown",
      reason: "steps"
    })
    expect(checkLinearizable(history, register(0), { maxConfigurations: 10 })).toMatchObject({
      verdict: "unknown",
      reason: "configurations"
    })
    expect(checkLinearizable(history, register(0), { timeoutMs: 0 })).toMatchObject({
      verdict: "unknown",
      reason: "timeout"
    })
  })
})

type LogInput = { readonly key: string; readonly append?: number }

/** A log of numbers per key. Without `isReadOnly`, every order of concurrent appends is another state. */
const logs: Model<string, LogInput, string | null> = {
  name: "logs",
  initial: () => "",
  step: (log, { append }, output) => {
    if (append !== undefined) return `${log} ${append}`
    return typeof output !== "string" || output === log ? log : undefined
  },
  partition: ({ key }) => key
}

/** Concurrent appends, and a read after them that no order explains. It takes a long time to refute. */
const hardLog = (key: string, appends: number): ReadonlyArray<Line<LogInput, string | null>> => [
  ...Array.from({ length: appends }, (_, append): Line<LogInput, null> => {
    return [`${key}${append}`, { key, append }, null, 0, 10]
  }),
  [`${key} reader`, { key }, "none", 20, 30]
]

describe("partitions", () => {
  const easy: ReadonlyArray<Line<LogInput, string | null>> = [["a", { key: "last" }, "never written", 0, 1]]

  test("a hard partition does not keep the violation of another one waiting", () => {
    const history = operationsOf([...hardLog("hard", 12), ...hardLog("harder", 14), ...easy])
    const check = checkLinearizable(history, logs)
    expect(check).toMatchObject({ verdict: "illegal", partition: "last" })
    expect(check.steps).toBeLessThan(2_000)
  })

  test("one wrong guess does not cost all orders of what follows", () => {
    const later = Array.from({ length: 10 }, (_, append): Line<LogInput, null> => {
      return [`later ${append}`, { key: "k", append: 100 + append }, null, 15, 40 + append]
    })
    const history = operationsOf<LogInput, string | null>([
      ["a", { key: "k", append: 1 }, null, 0, 10],
      ["b", { key: "k", append: 2 }, null, 0, 11],
      ...later,
      ["c", { key: "k" }, " 2 1", 12, 30]
    ])
    const check = checkLinearizable(history, logs)
    expect(check.verdict).toBe("ok")
    expect(check.steps).toBeLessThan(2_000)
  })
})

describe("foresight", () => {
  const append = (value: string): KeyValueInput => ({ action: "append", value })
  const appends = Array.from("abcdefghij").map((value): Line<KeyValueInput, string> => [
    value,
    append(value),
    "",
    0,
    10
  ])

  test("does not tell apart what nobody reads, and goes no way that the next read rules out", () => {
    const legal = operationsOf<KeyValueInput, string>([
      ...appends,
      ["reader", { action: "get" }, "jihgfedcba", 20, 30],
      ...appends.map(([name, input]): Line<KeyValueInput, string> => [name, input, "", 40, 50]),
      ["writer", { action: "put", value: "z" }, "", 60, 70],
      ["reader", { action: "get" }, "z", 80, 90]
    ])
    expect(checkLinearizable(legal, keyValue(), { maxSteps: 20_000 }).verdict).toBe("ok")
  })

  test("explains as far as the search without it does", () => {
    const refused = Array.from({ length: 400 }, (_, seed) => {
      const random = seededRandom(seed)
      const correct = simulate(textStore(1, 3), { clients: 3, operations: 7, lostShare: 0.05 }, random)
      return withOtherOutput(correct, (_output, { pick }) => pick(["", "a", "b", "ab", "ba"]), random)
    }).flatMap((history) => {
      const { foresight: _, ...blind } = keyValue()
      const [check, expected] = [checkLinearizable(history, keyValue()), checkLinearizable(history, blind)]
      if (check.verdict !== "illegal" || expected.verdict !== "illegal") return []
      const { illegal, operations, prefix } = check
      expect(illegal.id).toBe(expected.illegal.id)
      expect(isLinearizable(prefix?.order ?? operations, keyValue())).toBe(true)
      return [check]
    })
    expect(refused.length).toBeGreaterThan(50)
  })

  test("refuses a model whose operations are not always possible", () => {
    const history = operationsOf<KeyValueInput, string>([
      ["a", append("a"), "", 0, 10],
      ["b", append("b"), "", 0, 10],
      ["reader", { action: "get" }, "c", 20, 30]
    ])
    const once: Model<string, KeyValueInput, KeyValueOutput> = {
      ...keyValue(),
      step: (value, input) => (input.action === "append" && value === "" ? input.value : undefined)
    }
    expect(() => checkLinearizable(history, once)).toThrow(UnsoundForesightError)
  })
})

describe("speed", () => {
  test("finds a stale read among 3,000 operations of 50 clients in less than 60,000 steps", () => {
    for (let seed = 0; seed < 9; seed++) {
      const history = withStaleRead(
        simulate(textStore(10), { clients: 50, operations: 3_000 }, seededRandom(seed))
      )
      const check = checkLinearizable(history, keyValue(), { maxSteps: 60_000 })
      expect(check).toMatchObject({ verdict: "illegal", illegal: { input: { action: "get" } } })
    }
  })

  test("does not retry failed configurations", () => {
    const writes = Array.from({ length: 12 }, (_, value): Line<RegisterInput<number>, number | boolean> => {
      return [`c${value}`, { action: "write", value }, true, 0, 10]
    })
    const history = operationsOf([...writes, ["reader", { action: "read" }, 99, 20, 30]])
    const check = checkLinearizable(history, register(0), { maxSteps: 200_000 })
    expect(check).toMatchObject({ verdict: "illegal", illegal: { client: "reader" } })
  })

  test("does not branch on read-only operations", () => {
    const history = simulate(tryMutex, { clients: 10, operations: 5000 }, seededRandom(3))
    expect(checkLinearizable(history, mutex(), { maxSteps: 20_000 }).verdict).toBe("ok")
  })

  test("checks 10,000 operations of 50 clients on a mutex in less than 2 s", () => {
    const history = simulate(waitingMutex, { clients: 50, operations: 10_000 }, seededRandom(7))
    // CPU time, so that other processes on the machine do not count.
    const before = process.cpuUsage()
    expect(checkLinearizable(history, mutex()).verdict).toBe("ok")
    const { user, system } = process.cpuUsage(before)
    expect((user + system) / 1_000).toBeLessThan(2_000)
  })
})
