import { describe, expect, it } from "vitest"
import { couponsAdmin } from "./coupons.ts"
import { contract, type Contract } from "./index.ts"
import { pointsAdmin } from "./points.ts"
import { productsAdmin } from "./products.ts"
import { webhooksAdmin } from "./webhooks.ts"

const groups = Object.entries(contract satisfies Contract)

describe("the contract", () => {
  it("has what takes the role of an administrator in one group, and nothing else in there", () => {
    for (const [group, procedures] of groups) {
      for (const [name, { access }] of Object.entries(procedures))
        expect(access === "admin", `${group}.${name}`).toBe(group === "admin")
    }
  })

  it("loses none of them where they are put together: no two have one name", () => {
    const parts = [couponsAdmin, pointsAdmin, productsAdmin, webhooksAdmin].flatMap((part) =>
      Object.keys(part)
    )
    expect(Object.keys(contract.admin).toSorted()).toEqual(parts.toSorted())
  })
})
