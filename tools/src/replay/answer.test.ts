import { OutOfStock, RemoteDefect, ServiceUnavailable, TransportError } from "@holdfast/client-sdk"
import { describe, expect, test } from "vitest"
import { definitive, NoAnswer, Refusal, required } from "./answer.ts"

const unreachable = new TransportError({
  procedure: "orders.create",
  reason: "unreachable",
  maybeSent: false,
  retryable: true
})
const defect = new RemoteDefect({
  procedure: "orders.create",
  code: "INTERNAL_SERVER_ERROR",
  httpStatus: 500,
  retryable: false,
  detail: "internal error"
})
const outOfStock = new OutOfStock({ sku: "A", requested: 2, available: 1 })

/** A call that fails with these errors one after another, then succeeds. */
const failing = <E>(...errors: ReadonlyArray<E>) => {
  const left = [...errors]
  let calls = 0
  const call = () => {
    calls++
    const error = left.shift()
    return Promise.resolve(
      error === undefined ? ({ ok: true, value: "done" } as const) : ({ ok: false, error } as const)
    )
  }
  return { call, calls: () => calls }
}

describe("a definitive answer", () => {
  test("follows any number of temporary failures", async () => {
    const { call, calls } = failing<TransportError | ServiceUnavailable>(
      unreachable,
      new ServiceUnavailable({ retryAfterMs: 1 })
    )
    expect(await definitive(call)).toEqual({ ok: true, value: "done" })
    expect(calls()).toBe(3)
  })

  test("may be a refusal, which is not retried", async () => {
    const { call, calls } = failing(outOfStock)
    expect(await definitive(call)).toEqual({ ok: false, error: outOfStock })
    expect(calls()).toBe(1)
  })

  test("is awaited no longer than the given patience", async () => {
    const { call, calls } = failing(unreachable)
    await expect(definitive(call, undefined, 0)).rejects.toThrow(NoAnswer)
    expect(calls()).toBe(1)
  })

  test("is not awaited from a broken server", async () => {
    const { call, calls } = failing(defect)
    await expect(definitive(call)).rejects.toThrow(/no answer: orders.create: internal error/)
    expect(calls()).toBe(1)
  })

  test("is not awaited after an abort", async () => {
    const { call } = failing(unreachable, unreachable)
    const stop = new AbortController()
    const waiting = definitive(call, stop.signal)
    stop.abort()
    await expect(waiting).rejects.toThrow(/abort/)
  })

  test("that must be a value reports what was refused and why", async () => {
    expect(await required("the tea", failing<TransportError>(unreachable).call)).toBe("done")
    await expect(required("the tea", failing(outOfStock).call)).rejects.toThrow(Refusal)
    await expect(required("the tea", failing(outOfStock).call)).rejects.toThrow(
      "the tea was refused: A: 2 asked for, 1 left (OutOfStock)"
    )
  })
})
