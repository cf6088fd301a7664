import { Arbitrary, Effect, Schema } from "effect"
import { describe, expect, test } from "vitest"
import * as domain from "../index.ts"

const errorClasses = Object.entries(domain).filter(
  (entry): entry is [string, typeof domain.OutOfStock] =>
    typeof entry[1] === "function" && entry[1].prototype instanceof Error
)

describe("the errors of the domain", () => {
  test("have a code, a verdict on retrying and a message", () => {
    const stock = new domain.OutOfStock({ sku: "TEA", requested: 2, available: 1 })
    expect(stock).toMatchObject({ _tag: "OutOfStock", name: "OutOfStock", retryable: false })
    expect(stock.message).toBe("TEA: 2 asked for, 1 left")
    expect(domain.OutOfStock.code).toBe("CONFLICT")
    expect(new domain.ServiceUnavailable({ retryAfterMs: 5 }).retryable).toBe(true)
    expect(errorClasses.length).toBeGreaterThan(40)
  })

  test.each(errorClasses)("%s survives encoding as the same class and message", (tag, errorClass) => {
    const samples = Effect.runSync(Arbitrary.sampleEffect(Arbitrary.schema(errorClass), { size: 5, seed: 1 }))
    for (const error of samples) {
      const encoded: unknown = JSON.parse(JSON.stringify(Schema.encodeUnknownSync(errorClass)(error)))
      expect(encoded).toMatchObject({ _tag: tag })
      const decoded = Schema.decodeUnknownSync(errorClass)(encoded)
      expect(decoded).toBeInstanceOf(errorClass)
      expect(decoded.message).toBe(error.message)
      expect(decoded.retryable).toBe(error.retryable)
    }
  })
})
