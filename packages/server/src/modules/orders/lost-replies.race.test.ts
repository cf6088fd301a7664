import { contract } from "@holdfast/domain"
import { expectExactly, race } from "@holdfast/testkit"
import { type FaultProxy, faultProxy, randomStream } from "@holdfast/testkit/faults"
import { CheckedHistory, idempotentCall } from "@holdfast/testkit/history"
import { setTimeout } from "node:timers/promises"
import type { RowDataPacket } from "mysql2/promise"
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest"
import { bytesOf } from "../../platform/db/ids.ts"
import { type Cut, startCuttingProxy } from "../../../test/cutting-proxy.ts"
import { makeRawClient } from "../../../test/raw-client.ts"
import { Shop, type TestUser } from "../../../test/shop.ts"

const KEYS = 12
const CALLERS_A_KEY = 4
const FATES: ReadonlyArray<Cut> = ["before", "during", "after", "after", "never", "never"]
const GIVE_UP_MS = 60_000

const seed = process.env["HOLDFAST_SEED"] ?? String(Date.now() % 1_000_000)

describe(`orders whose replies get lost (seed ${seed})`, () => {
  let database: FaultProxy
  let shop: Shop
  beforeAll(async () => {
    const { hostname, port } = new URL(inject("mysqlUrl"))
    const upstream = { host: hostname, port: Number(port) }
    database = await faultProxy({ upstream, protocol: "mysql", seed })
    shop = await Shop.open({ mysqlUrl: database.through(inject("mysqlUrl")) })
  })
  afterAll(async () => {
    await shop.expectRightBooks()
    await shop.stop()
    await database.close()
  })

  // Guarantees: however often a call is repeated and whichever replies are lost, it is executed once, and everybody
  // who gets an answer gets the same one.
  test("are placed once a key, and answered alike", { timeout: 120_000 }, async () => {
    const users = await shop.newUsers(KEYS)
    const sku = await shop.newProduct("lost", 1_000)
    const random = randomStream(seed, "fates")
    await using web = await startCuttingProxy(
      shop.servers[0].url,
      () => FATES[Math.floor(random() * FATES.length)]!
    )
    // A commit whose reply is lost: the server itself does not know whether there is an order.
    const lostCommits = database.cut({ when: "after", match: /^COMMIT/i, chance: 0.5 })
    const client = makeRawClient(web.url)
    const calls = new CheckedHistory(idempotentCall(), `orders with lost replies, seed ${seed}`)

    /** One try of one caller; undefined when it learned nothing. */
    const attempt = async (name: string, key: string, user: TestUser): Promise<string | undefined> => {
      const call = calls.call(name, { action: "call", key })
      const answer = await client(
        contract.orders.create,
        { lines: [{ sku, quantity: 2 }] },
        { token: user.token, idempotencyKey: key }
      ).catch(() => undefined)
      if (answer?.ok === true) {
        call.returned({ answer: answer.value.id })
        return answer.value.id
      }
      if (answer?.tag === "RequestInProgress") call.failed(answer.body)
      else call.lost(answer?.body)
      const mayTryAgain = answer === undefined || answer.tag === "RequestInProgress" || answer.status >= 500
      if (!mayTryAgain) throw new Error(answer.body)
      return undefined
    }
    const insistent = async (caller: number) => {
      const nth = caller % KEYS
      const endsAtMs = performance.now() + GIVE_UP_MS
      for (let tried = 1; performance.now() < endsAtMs; tried += 1) {
        const orderId = await attempt(`caller ${caller}, try ${tried}`, `key-${nth}`, users[nth]!)
        if (orderId !== undefined) return orderId
        await setTimeout(5 + random() * 20)
      }
      throw new Error(`no answer within ${GIVE_UP_MS} ms`)
    }

    const result = await race(KEYS * CALLERS_A_KEY, insistent, { timeoutMs: 100_000 })
    lostCommits.remove()
    expectExactly(result, KEYS * CALLERS_A_KEY)
    for (const [nth, user] of users.entries())
      await calls.record("auditor", { action: "count", key: `key-${nth}` }, () => ordersOf(user))
    calls.expectLinearizable()

    // The replies really were lost, at both ends.
    expect(lostCommits.firings).toBeGreaterThan(0)
    for (const fate of FATES) expect(web.fates.get(fate), fate).toBeGreaterThan(0)
    expect(await shop.stockOf(sku)).toBe(1_000 - 2 * KEYS)
  })

  const ordersOf = async (user: TestUser): Promise<number> => {
    const [rows] = await shop.sql.query<Array<RowDataPacket>>(
      "SELECT COUNT(*) AS placed FROM orders WHERE user_id = ?",
      [bytesOf(user.id)]
    )
    return Number(rows[0]?.["placed"])
  }
})
