import { expectExploration, explore, type Scenario } from "@holdfast/testkit/explore"
import type { RedisFixture, SqlFixture } from "@holdfast/testkit/vitest"
import { describe, expect } from "vitest"
import { takeNumber } from "../src/counter.ts"
import { deletingLock, owningLock, type Lock } from "../src/lock.ts"
import { enter, leave, test, type Visitor } from "./bakery.ts"

/** The URL of the same database through a port of the explorer. */
const through = (url: string, port: number) => {
  const moved = new URL(url)
  moved.host = `127.0.0.1:${port}`
  return moved.href
}

/** The lease may end before the first visitor's release. */
const whenDone = /^(DEL|EVAL)/
const atAnyStep = /^/

/** Three visitors, and a lease that may end before a matching step of the first one. */
async function threeVisitors(sql: SqlFixture, redis: RedisFixture, lock: () => Lock, leaseEnds = whenDone) {
  const admin = await enter(sql.url, redis.url)
  const scenario: Scenario<Visitor, number | undefined> = {
    name: `ticket counter, ${lock.name}`,
    upstreams: { sql, redis },
    clients: 3,
    connect: (ports) => enter(through(sql.url, ports.sql), through(redis.url, ports.redis)),
    disconnect: leave,
    setup: async () => {
      await admin.redis.flushdb()
      await admin.sql.query("UPDATE counters SET last = 0")
    },
    run: (visitor) => takeNumber(visitor.sql, visitor.redis, lock()),
    actors: [
      {
        name: "the lease ends",
        when: ({ held }) => leaseEnds.test(held(0) ?? ""),
        run: async () => void (await admin.redis.del("counter:lock"))
      }
    ],
    check: async (results) => {
      const numbers = results.flatMap((result) => (result.status === "fulfilled" ? (result.value ?? []) : []))
      const twice = numbers.find((number, index) => numbers.indexOf(number) !== index)
      return twice === undefined ? undefined : `number ${twice} was handed out twice`
    }
  }
  return { scenario, [Symbol.dispose]: () => leave(admin) }
}

describe("under every order of its commands", () => {
  test("the counter with the wrong lock hands out a number twice", async ({ sql, redis }) => {
    using visitors = await threeVisitors(sql, redis, deletingLock)
    const found = await explore(visitors.scenario, { schedules: 5_000 })
    const judge = () => expectExploration(found).safe({ timelineDirectory: "timelines" })
    expect(judge).toThrow("number 2 was handed out twice")
    expect(found.failure?.replays).toEqual({ same: 5, of: 5 })
    console.log(`found after ${found.failure?.foundAfter} schedules, repeats as ${found.failure?.code}`)
  })

  test("the counter with the correct lock does not", async ({ sql, redis }) => {
    using visitors = await threeVisitors(sql, redis, owningLock)
    expectExploration(await explore(visitors.scenario, { schedules: 100 })).safe()
  })

  test("no lock protects a visitor who continues after the end of its lease", async ({ sql, redis }) => {
    using visitors = await threeVisitors(sql, redis, owningLock, atAnyStep)
    const found = await explore(visitors.scenario, { schedules: 5_000 })
    expect(found.failure?.message).toMatch(/number \d was handed out twice/)
  })
})
