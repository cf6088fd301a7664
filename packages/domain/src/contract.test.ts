import { describe, expect, test } from "vitest"
import { contract } from "./contract.ts"
import { couponsAdmin } from "./coupons/procedures.ts"
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

  test("keeps every procedure of the merged group admin: no two share a name", () => {
    const parts = [couponsAdmin, pointsAdmin, productsAdmin, webhooksAdmin].flatMap((part) =>
      Object.keys(part)
    )
    expect(Object.keys(contract.admin).toSorted()).toEqual(parts.toSorted())
  })
})
