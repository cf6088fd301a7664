import { describe, expect, test } from "vitest"
import { normaliseLabel } from "./labels.ts"

describe("normaliseLabel", () => {
  test("removes what differs from run to run", () => {
    expect(normaliseLabel("SET mutex:a 0b9c3f1e-8a52-4c1e-9f43-2f6f0a9d7c11 NX")).toBe(
      "SET mutex:a <uuid> NX"
    )
    expect(normaliseLabel("EVALSHA 3f786850e387550fdab836ed7e6dc881de23001b 1 a")).toBe("EVALSHA <hex> 1 a")
    expect(normaliseLabel("ZADD due 1795392586711 id")).toBe("ZADD due <number> id")
  })

  test("keeps everything else, and stays short", () => {
    expect(normaliseLabel("UPDATE items SET stock = 4 WHERE id = 123456")).toBe(
      "UPDATE items SET stock = 4 WHERE id = 123456"
    )
    expect(normaliseLabel("x".repeat(500))).toHaveLength(160)
  })
})
