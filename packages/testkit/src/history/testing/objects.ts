import type { FencedMutexInput, FencedMutexOutput } from "../models/fenced-mutex.ts"
import type { IdempotentInput, IdempotentOutput } from "../models/idempotent-call.ts"
import type { KeyValueInput, KeyValueOutput } from "../models/key-value.ts"
import type { MutexInput } from "../models/mutex.ts"
import type { RegisterInput, RegisterOutput } from "../models/register.ts"
import type { StockInput, StockOutput } from "../models/stock-counter.ts"
import { hasReturned, type Operation } from "../operation.ts"
import type { Simulated } from "./simulate.ts"

/** Correct objects to simulate. None uses the models that check their histories. */

export const waitingMutex: Simulated<string | null, MutexInput, boolean> = {
  initial: null,
  nextInput: (_random, owner, last) => ({
    action: last?.action === "acquire" ? "release" : "acquire",
    owner
  }),
  apply: (holder, { action, owner }) => {
    if (action === "release") return { state: null, output: holder === owner }
    return holder === null ? { state: owner, output: true } : undefined
  }
}

export const tryMutex: Simulated<string | null, MutexInput, boolean> = {
  initial: null,
  nextInput: (random, owner, last, acquired) => {
    if (random.next() < 0.05) return { action: "expire", owner }
    return { action: last?.action === "acquire" && acquired === true ? "release" : "acquire", owner }
  },
  apply: (holder, { action, owner }) => {
    if (action === "expire") return { state: null, output: true }
    if (action === "release") {
      return { state: holder === owner ? null : holder, output: holder === owner }
    }
    return holder === null ? { state: owner, output: true } : { state: holder, output: false }
  }
}

interface Fence {
  readonly holder: string | null
  readonly token: number
  readonly fence: number
}

export const fencedLock: Simulated<Fence, FencedMutexInput, FencedMutexOutput> = {
  initial: { holder: null, token: 0, fence: 0 },
  nextInput: (random, owner, last, output) => {
    if (last?.action === "acquire" && typeof output === "number")
      return { action: "write", token: output, owner }
    if (last?.action === "write") return { action: "release", owner }
    return { action: random.next() < 0.1 ? "expire" : "acquire", owner }
  },
  apply: (state, input) => {
    if (input.action === "write") {
      const output = input.token >= state.fence
      return { state: output ? { ...state, fence: input.token } : state, output }
    }
    if (input.action === "expire") return { state: { ...state, holder: null }, output: true }
    if (input.action === "release") {
      const output = state.holder === input.owner
      return { state: output ? { ...state, holder: null } : state, output }
    }
    if (state.holder !== null) return { state, output: null }
    const token = state.token + 3
    return { state: { ...state, holder: input.owner, token }, output: token }
  }
}

export const stock = (initial: number): Simulated<number, StockInput, StockOutput> => ({
  initial,
  nextInput: (random) => {
    const roll = random.next()
    if (roll < 0.15) return { action: "read" }
    return { action: roll < 0.3 ? "give" : "take", quantity: 1 + random.below(3) }
  },
  apply: (left, input) => {
    if (input.action === "read") return { state: left, output: left }
    const quantity = input.quantity ?? 1
    if (input.action === "give") return { state: left + quantity, output: true }
    return left >= quantity ? { state: left - quantity, output: true } : { state: left, output: false }
  }
})

export const valueRegister: Simulated<number, RegisterInput<number>, RegisterOutput<number>> = {
  initial: 0,
  nextInput: (random) => {
    const roll = random.next()
    if (roll < 0.5) return { action: "read" }
    if (roll < 0.75) return { action: "write", value: random.below(4) }
    return { action: "cas", from: random.below(4), to: random.below(4) }
  },
  apply: (value, input) => {
    if (input.action === "read") return { state: value, output: value }
    if (input.action === "write") return { state: input.value, output: true }
    return value === input.from ? { state: input.to, output: true } : { state: value, output: false }
  }
}

type Answers = Readonly<Record<string, { readonly payload: string; readonly answer: number }>>

export const idempotentService: Simulated<Answers, IdempotentInput, IdempotentOutput> = {
  initial: {},
  nextInput: (random) => {
    const key = `k${random.below(3)}`
    if (random.next() < 0.2) return { action: "count", key }
    return { action: "call", key, payload: random.next() < 0.1 ? "other" : "this" }
  },
  apply: (answers, input) => {
    const known = answers[input.key]
    if (input.action === "count") return { state: answers, output: known === undefined ? 0 : 1 }
    const payload = input.payload ?? ""
    if (known !== undefined) {
      const output = known.payload === payload ? { answer: known.answer } : ({ reused: true } as const)
      return { state: answers, output }
    }
    const answer = 1000 + Object.keys(answers).length
    return { state: { ...answers, [input.key]: { payload, answer } }, output: { answer } }
  }
}

/** Without a number of texts nearly every text is another one, as when clients number what they write. */
export const textStore = (
  keys: number,
  texts?: number
): Simulated<Readonly<Record<string, string>>, KeyValueInput, KeyValueOutput> => ({
  initial: {},
  nextInput: (random, client) => {
    const key = `k${random.below(keys)}`
    const text = texts === undefined ? `(${client} ${random.below(1_000)})` : "abc"[random.below(texts)]!
    const roll = random.next()
    if (roll < 0.5) return { action: "get", key }
    return { action: roll < 0.9 ? "append" : "put", key, value: text }
  },
  apply: (values, input) => {
    const key = input.key ?? ""
    const value = values[key] ?? ""
    if (input.action === "get") return { state: values, output: value }
    const next = input.action === "put" ? input.value : value + input.value
    return { state: { ...values, [key]: next }, output: "" }
  }
})

/** Makes a read return what the read before the latest one returned, which was replaced before the read began. */
export const withStaleRead = (
  history: ReadonlyArray<Operation<KeyValueInput, KeyValueOutput>>
): Array<Operation<KeyValueInput, KeyValueOutput>> => {
  const reads = history.filter(hasReturned).filter(({ input }) => input.action === "get")
  const before = (next: { readonly calledAtNs: number; readonly input: KeyValueInput }) =>
    reads.findLast(
      ({ input, outcome }) => input.key === next.input.key && outcome.returnedAtNs < next.calledAtNs
    )
  for (const read of reads.slice(reads.length / 2)) {
    const latest = before(read)
    const stale = latest && before(latest)
    if (stale === undefined || stale.outcome.output === latest?.outcome.output) continue
    const changed = { ...read, outcome: { ...read.outcome, output: stale.outcome.output } }
    return history.map((operation) => (operation === read ? changed : operation))
  }
  throw new Error("No read can be made stale.")
}
