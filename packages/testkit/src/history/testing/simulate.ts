import type { Random } from "../../internal/random.ts"
import type { Operation } from "../operation.ts"

/** A correct object, executed one operation at a time. */
export interface Simulated<State, Input, Output> {
  readonly initial: State
  /** What an idle client calls next. */
  readonly nextInput: (random: Random, client: string, last: Input | undefined, lastOutput?: Output) => Input
  /** Applies the operation atomically; undefined while it must wait. */
  readonly apply: (
    state: State,
    input: Input
  ) => { readonly state: State; readonly output: Output } | undefined
}

export interface SimulationSize {
  readonly clients: number
  readonly operations: number
  /** The share of operations whose reply is lost, half of which took effect. */
  readonly lostShare?: number
}

interface Running<Input, Output> {
  last?: Input
  lastOutput?: Output
  open?: { readonly input: Input; readonly calledAtNs: number; applied?: { readonly output: Output } }
}

/**
 * Simulates clients that call a correct object concurrently, on a virtual clock: every operation is called, takes effect
 * at a later instant and returns after that. The history is linearizable by construction.
 */
export const simulate = <State, Input, Output>(
  { initial, nextInput, apply }: Simulated<State, Input, Output>,
  { clients, operations: total, lostShare = 0 }: SimulationSize,
  random: Random
): Array<Operation<Input, Output>> => {
  const names = Array.from({ length: clients }, (_, index) => `c${index}`)
  const running = new Map(names.map((name): [string, Running<Input, Output>] => [name, {}]))
  const history: Array<Operation<Input, Output>> = []
  let state = initial
  let nowNs = 0
  for (let attempts = 0; history.length < total; attempts++) {
    if (attempts > 1000 * total) throw new Error("The simulation makes no progress.")
    const client = random.pick(names)
    const self = running.get(client) ?? {}
    nowNs++
    if (self.open === undefined) {
      const input = nextInput(random, client, self.last, self.lastOutput)
      self.open = { input, calledAtNs: nowNs }
    } else if (random.next() < lostShare) {
      const { input, calledAtNs } = self.open
      const outcome = { status: "unknown", gaveUpAtNs: nowNs } as const
      history.push({ id: history.length, client, input, calledAtNs, outcome })
      running.set(client, {})
    } else if (self.open.applied === undefined) {
      const applied = apply(state, self.open.input)
      if (applied !== undefined) {
        state = applied.state
        self.open.applied = { output: applied.output }
      }
    } else {
      const { input, calledAtNs, applied } = self.open
      const outcome = { status: "returned", output: applied.output, returnedAtNs: nowNs } as const
      history.push({ id: history.length, client, input, calledAtNs, outcome })
      running.set(client, { last: input, lastOutput: applied.output })
    }
  }
  for (const [client, { open }] of running) {
    if (open === undefined) continue
    const { input, calledAtNs } = open
    history.push({ id: history.length, client, input, calledAtNs, outcome: { status: "unknown" } })
  }
  return history
    .toSorted((a, b) => a.calledAtNs - b.calledAtNs)
    .map((operation, id) => ({ ...operation, id }))
}
