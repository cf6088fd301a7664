// A test file for node:test; node-test.test.ts runs it.
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { createConnection } from "mysql2/promise"
import { claimRedisDatabase, databaseFactory, expectExactly, race, startServices } from "../../src/index.ts"
import { evidence } from "../../src/evidence/index.ts"
import { faultProxy } from "../../src/faults/index.ts"
import {
  History,
  expectHistory,
  stockCounter,
  type StockInput,
  type StockOutput
} from "../../src/history/index.ts"
import { buy, template, withRedis } from "../fixtures/shop.ts"

const shallFail = process.env["SHALL_FAIL"] === "1"

void describe("the shop", () => {
  void test("sells ten of ten lanterns, on real servers", async () => {
    await using services = await startServices()
    console.log(`servers ${JSON.stringify([services.sql.identity, services.redis.identity])}`)
    const databases = await databaseFactory(services.sql, template)
    await using database = await databases.create()
    await using cache = await claimRedisDatabase((index) => services.redis.url(index))
    const history = new History<StockInput, StockOutput>()
    const found = await evidence(services).around(async () => {
      await withRedis(services.redis.url(cache.index), (redis) => redis.set("sale", "open"))
      return race(
        20,
        (index) => history.record(`buyer ${index}`, { action: "take" }, () => buy(database.url)),
        {
          won: (bought) => bought
        }
      )
    })
    expectExactly(found.value, shallFail ? 11 : 10)
    expectHistory(history).linearizable(stockCounter({ initial: 10 }))
    found.toShow({ sql: { update: { atLeast: 20 } }, redis: { set: true } })
  })

  void test("loses a reply, not a lantern", async () => {
    await using services = await startServices({ redis: false })
    await using database = await (await databaseFactory(services.sql, template)).create()
    await using proxy = await faultProxy({ upstream: services.sql, protocol: "mysql" })
    const rule = proxy.cut({ when: "after", match: /^UPDATE/ })
    await assert.rejects(buy(proxy.through(database.url)))
    await rule.fired
    const connection = await createConnection({ uri: database.url })
    const [rows] = await connection.query("SELECT stock FROM products")
    assert.deepEqual(JSON.parse(JSON.stringify(rows)), [{ stock: 9 }])
    await connection.end()
  })
})
