import { setTimeout } from "node:timers/promises"
import { expectExactly } from "@holdfast/testkit"
import type { Model } from "@holdfast/testkit/history"
import { expect } from "vitest"
import { takeNumber } from "../src/counter.ts"
import { owningLock } from "../src/lock.ts"
import { enter, leave, test } from "./bakery.ts"

/** A ticket machine hands out each number once, in order. */
const ticketMachine: Model<number, "take", number> = {
  name: "ticket machine",
  initial: () => 0,
  step: (last, _take, number) => (typeof number === "symbol" || number === last + 1 ? last + 1 : undefined)
}

test("thirty concurrent visitors get the numbers 1 to 30, in a legal order", async ({
  sql,
  redis,
  race,
  history
}) => {
  const numbers = history(ticketMachine)
  const queue = await race(30, async (index) => {
    const visitor = await enter(sql.url, redis.url)
    try {
      return await numbers.record(`visitor ${index}`, "take", async () => {
        for (;;) {
          const number = await takeNumber(visitor.sql, visitor.redis, owningLock())
          if (number !== undefined) return number
          await setTimeout(2 + Math.random() * 8)
        }
      })
    } finally {
      leave(visitor)
    }
  })
  expectExactly(queue, 30)
  numbers.expectLinearizable()
  expect(await sql.query("SELECT last FROM counters")).toEqual([{ last: 30 }])
})
