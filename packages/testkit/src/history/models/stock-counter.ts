import { conservation, type Reading } from "../invariants/conservation.ts"
import { falseSoldOut, type Refusal } from "../invariants/false-sold-out.ts"
import type { Movement } from "../invariants/movements.ts"
import { shown, unknownOutput, type Model } from "../model.ts"
import type { Operation } from "../operation.ts"

/** `take` returns whether it got the whole quantity, `give` always adds, `read` returns what is left. Quantity 1 by default. */
export type StockInput =
  | { readonly action: "take" | "give"; readonly product?: string; readonly quantity?: number }
  | { readonly action: "read"; readonly product?: string }

/** A boolean for `take`, a number for `read`. */
export type StockOutput = boolean | number

/** The stock at the start. */
export interface StockOptions {
  /** The quantity of every product, or the quantities by product. */
  readonly initial: number | Readonly<Record<string, number>>
}

/** A stock that is never oversold and never refuses what is available. One partition per product. */
export const stockCounter = (options: StockOptions): Model<number, StockInput, StockOutput> => {
  const initial = (product: string): number =>
    typeof options.initial === "number" ? options.initial : (options.initial[product] ?? 0)
  return {
    name: "stock counter",
    initial,
    step: (left, input, output) => {
      if (input.action === "read") return output === unknownOutput || output === left ? left : undefined
      const quantity = quantityOf(input)
      if (input.action === "give") return left + quantity
      if (output === false) return left < quantity ? left : undefined
      return left >= quantity ? left - quantity : undefined
    },
    isReadOnly: ({ action }, output) => action === "read" || (action === "take" && output === false),
    stateKey: String,
    partition: ({ product }) => product ?? "",
    describe: (input, output) =>
      input.action === "read"
        ? `read() → ${shown(output)}`
        : `${input.action}(${quantityOf(input)}) → ${shown(output)}`,
    invariants: [
      (operations, product) =>
        conservation(initial(product), movementsOf(operations), readingsOf(operations)),
      (operations, product) => falseSoldOut(initial(product), movementsOf(operations), refusalsOf(operations))
    ]
  }
}

type StockOperation = Operation<StockInput, StockOutput>

const quantityOf = (input: StockInput): number => (input.action === "read" ? 0 : (input.quantity ?? 1))

const movementsOf = (operations: ReadonlyArray<StockOperation>) =>
  operations.flatMap((operation): Array<Movement<StockInput, StockOutput>> => {
    const { input, outcome } = operation
    if (input.action === "read") return []
    if (input.action === "take" && outcome.status === "returned" && outcome.output === false) return []
    const amount = input.action === "give" ? quantityOf(input) : -quantityOf(input)
    return [{ amount, operation }]
  })

const readingsOf = (operations: ReadonlyArray<StockOperation>) =>
  operations.flatMap((operation): Array<Reading<StockInput, StockOutput>> => {
    const { input, outcome } = operation
    if (input.action !== "read" || outcome.status !== "returned") return []
    return [{ value: Number(outcome.output), operation }]
  })

const refusalsOf = (operations: ReadonlyArray<StockOperation>) =>
  operations.flatMap((operation): Array<Refusal<StockInput, StockOutput>> => {
    const { input, outcome } = operation
    const refused = input.action === "take" && outcome.status === "returned" && outcome.output === false
    return refused ? [{ quantity: quantityOf(input), operation }] : []
  })
