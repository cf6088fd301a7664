import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, test } from "vitest"
import { seededRandom } from "../internal/random.ts"
import { expectHistory, NotLinearizableError, UndecidedHistoryError } from "./expect-history.ts"
import { stockCounter, type StockInput, type StockOutput } from "./models/stock-counter.ts"
import { register, type RegisterInput } from "./models/register.ts"
import { valueRegister } from "./testing/objects.ts"
import { operationsOf } from "./testing/operations.ts"
import { simulate } from "./testing/simulate.ts"

const timelineDirectory = mkdtempSync(join(tmpdir(), "timelines-"))
afterAll(() => rmSync(timelineDirectory, { recursive: true }))

const thrownBy = (run: () => unknown): unknown => {
  try {
    run()
  } catch (error) {
    return error
  }
  throw new Error("It threw nothing.")
}

describe("expectHistory", () => {
  test("returns a legal order of a legal history", () => {
    const operations = operationsOf<RegisterInput<number>, number | boolean>([
      ["a", { action: "write", value: 1 }, true, 0, 5],
      ["b", { action: "read" }, 0, 1, 2],
      ["b", { action: "read" }, 1, 3, 4]
    ])
    const { orders } = expectHistory({ operations }).linearizable(register(0))
    expect(orders.get("")?.map(({ id }) => id)).toEqual([1, 0, 2])
  })

  test("explains an illegal history by its invariant, its prefix and a timeline", () => {
    const operations = operationsOf<StockInput, StockOutput>([
      ["<Ann>", { action: "take" }, true, 0, 1_000_000],
      ["Bob", { action: "take" }, true, 500_000, 1_500_000],
      ["Cem", { action: "take" }, 1_600_000]
    ])
    const history = { operations, marks: [{ label: "cut & frozen", atNs: 700_000 }] }
    const options = { title: "last shirt", timelineDirectory }
    const error = thrownBy(() => expectHistory(history).linearizable(stockCounter({ initial: 1 }), options))
    expect(error).toBeInstanceOf(NotLinearizableError)
    const { message, timelinePath, check } = error as NotLinearizableError
    expect(message).toContain("conservation: 2 were taken of 1.")
    expect(message).toContain("Bob: take(1) → true  [0.500 ms .. 1.500 ms]")
    expect(message).toContain("orders 1 of 3 operations")
    expect(message).toContain(timelinePath)
    expect(check.illegal.client).toBe("Bob")

    const html = readFileSync(timelinePath, "utf8")
    expect(html).toMatch(/class="bar outside illegal"[^>]*>take\(1\) → true/)
    expect(html).toContain("<b>1</b>take(1) → true")
    expect(html).toContain("&lt;Ann&gt;")
    expect(html).not.toContain("<Ann>")
    expect(html).toContain("cut &amp; frozen")
    expect(html).toMatch(/class="bar outside unknown"/)
    expect(html).not.toMatch(/<script|src=|href=|url\(/)
  })

  test("without an invariant, blames the operation after which no order is left", () => {
    const operations = operationsOf<RegisterInput<number>, number | boolean>([
      ["a", { action: "write", value: 200 }, true, 0, 100],
      ["b", { action: "read" }, 200, 10, 30],
      ["c", { action: "read" }, 0, 40, 90]
    ])
    const error = thrownBy(() =>
      expectHistory({ operations }).linearizable(register(0), { timelineDirectory })
    )
    expect((error as NotLinearizableError).message).toContain("This operation fits nowhere:\n  c: read() → 0")
  })

  test("fails when the checker reaches a limit", () => {
    const operations = simulate(valueRegister, { clients: 4, operations: 50 }, seededRandom(1))
    const options = { maxSteps: 3, timelineDirectory }
    const error = thrownBy(() => expectHistory({ operations }).linearizable(register(0), options))
    expect(error).toBeInstanceOf(UndecidedHistoryError)
    expect((error as UndecidedHistoryError).message).toContain("reached its limit (steps)")
    expect(existsSync((error as UndecidedHistoryError).timelinePath)).toBe(true)
  })

  test("draws only the operations around the one to blame", () => {
    const operations = simulate(valueRegister, { clients: 4, operations: 1000 }, seededRandom(1))
    const last = operations.findLast(
      ({ input, outcome }) => input.action === "read" && outcome.status === "returned"
    )
    const broken = operations.map((operation) =>
      operation === last
        ? { ...operation, outcome: { ...operation.outcome, output: 77 } as typeof operation.outcome }
        : operation
    )
    const error = thrownBy(() =>
      expectHistory({ operations: broken }).linearizable(register(0), { timelineDirectory })
    )
    const html = readFileSync((error as NotLinearizableError).timelinePath, "utf8")
    expect(html).toContain("read() → 77")
    expect(html.match(/<li class="bar/g)?.length).toBeLessThan(200)
    expect(html).toMatch(/\d+ operations farther away are not drawn/)
  })
})
