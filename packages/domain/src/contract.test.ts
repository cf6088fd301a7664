import { describe, expect, test } from "vitest"
import { auditTrailAdmin } from "./audit-trail.ts"
import { contract } from "./contract.ts"
import { couponsAdmin } from "./coupons/procedures.ts"
import { ORDER_BOUNDS } from "./orders.ts"
import type { Contract } from "./kernel/procedure.ts"
import { pointsAdmin } from "./points.ts"
import { productsAdmin } from "./products.ts"
import { webhooksAdmin } from "./webhooks.ts"

const groups = Object.entries(contract satisfies Contract)

describe("the contract", () => {
  test("puts the procedures that require an administrator into the group admin, and no others", () => {
    for (const [group, procedures] of groups) {
      for (const [name, { access }] of Object.entries(procedures))
        expect(access === "admin", `${group}.${name}`).toBe(group === "admin")
    }
  })

  test("lets no procedure of the group auth share a request with others: each login costs a password's hash", () => {
    for (const [group, procedures] of groups) {
      for (const [name, { batchable }] of Object.entries(procedures as Contract[string]))
        expect(batchable === false, `${group}.${name}`).toBe(group === "auth")
    }
  })

  test("gives the largest order enough bytes: all lines, each with a SKU of 64 letters", () => {
    const line = { sku: "s".repeat(64), quantity: 1_000_000 }
    const lines = Array.from({ length: ORDER_BOUNDS.lines }, () => line)
    expect(JSON.stringify({ lines }).length).toBeLessThan(contract.orders.create.maximumBytes!)
  })

  test("keeps every procedure of the merged group admin: no two share a name", () => {
    const parts = [auditTrailAdmin, couponsAdmin, pointsAdmin, productsAdmin, webhooksAdmin].flatMap((part) =>
      Object.keys(part)
    )
    expect(Object.keys(contract.admin).toSorted()).toEqual(parts.toSorted())
  })
})
