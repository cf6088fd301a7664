import { contract } from "@holdfast/domain"
import { startServices, type Services } from "@holdfast/testkit"
import { lostReplyOf } from "@holdfast/testkit/explore"
import { expectLocks, watchLocks } from "@holdfast/testkit/lock-graph"
import type { RowDataPacket } from "mysql2/promise"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import {
  explorePromise,
  type ExploredPromise,
  type ExploredServer,
  startBehind,
  timeIsUp
} from "../test/explored.ts"
import { drain, runJob } from "../test/jobs.ts"
import { manyUsers, newCoupon } from "../test/sale.ts"
import { Shop, type TestUser } from "../test/shop.ts"
import { orderExpiry } from "./modules/orders/expiry-job.ts"
import { rankingProjector } from "./modules/ranking/projector.ts"
import { bytesOf } from "./platform/db/ids.ts"
import { outboxRelay } from "./platform/outbox/relay.ts"

// A container answers later, and the schedules are the same.
const SCHEDULES = process.env["HOLDFAST_SOURCE"] === "docker" ? 10 : 30

// Servers whose Redis locks know nothing of each other: in every explored order of the statements, MySQL alone decides.
describe("every order of the statements", { timeout: 180_000 }, () => {
  let services: Services
  let shop: Shop
  let users: ReadonlyArray<TestUser>
  beforeAll(async () => {
    services = await startServices()
    shop = await Shop.open({ mysqlUrl: services.sql.url(), redisUrl: services.redis.url() })
    users = await manyUsers(shop, 4)
    const grant = { userId: users[0]!.id, amount: 1_000_000, reason: "to pay orders" }
    await shop.ok(contract.admin.grantPoints, grant, shop.admin)
  })
  afterAll(async () => {
    await shop?.stop()
    await services?.stop()
  })

  let made = 0
  let sku = ""
  let orderId = ""
  let answers: Array<{ readonly ok: boolean; readonly tag?: string }> = []

  const explored = (promise: ExploredPromise) => {
    const setup = () => {
      answers = []
      return promise.setup()
    }
    const stores = { services, database: shop.database }
    return explorePromise(stores, { ...promise, setup }, { schedules: SCHEDULES })
  }

  /** Remembers what a caller was answered. */
  const told = async (answer: Promise<{ readonly ok: boolean; readonly tag?: string }>) => {
    answers.push(await answer)
  }
  const won = () => answers.filter(({ ok }) => ok).length
  const tags = () => answers.flatMap(({ ok, tag }) => (ok ? [] : [tag]))

  const one = async <A>(statement: string, ...values: Array<string | Buffer>): Promise<A> => {
    const [rows] = await shop.sql.query<Array<RowDataPacket>>(statement, values)
    return rows[0] as A
  }
  const stock = async () =>
    (await one<{ stock: number }>("SELECT stock FROM products WHERE sku = ?", sku)).stock
  const newGoods = async (units: number) => void (sku = await shop.newProduct(`goods-${++made}`, units))
  const newOrder = async () => {
    await newGoods(5)
    orderId = (await shop.ok(contract.orders.create, { lines: [{ sku, quantity: 2 }] }, users[0])).id
  }
  const buy =
    (user: TestUser | undefined, quantity: number) =>
    ({ call }: ExploredServer) =>
      told(call(contract.orders.create, { lines: [{ sku, quantity }] }, user))
  const pay = ({ call }: ExploredServer) => told(call(contract.payments.process, { orderId }, users[0]))
  const cancel = ({ call }: ExploredServer) => told(call(contract.orders.cancel, { orderId }, users[0]))
  const expire = async ({ server }: ExploredServer) => void (await runJob(server, orderExpiry))
  const order = () =>
    one<{ status: string; payments: number; refunds: number; releases: number }>(
      `SELECT status, (SELECT COUNT(*) FROM payments WHERE order_id = orders.id) AS payments,
        (SELECT COUNT(*) FROM refunds WHERE order_id = orders.id) AS refunds,
        (SELECT COUNT(*) FROM stock_ledger WHERE order_id = orders.id AND kind = 'release') AS releases
       FROM orders WHERE id = ?`,
      bytesOf(orderId)
    )

  test("orders.create: exactly the last unit is sold, to one of two buyers", async () => {
    await explored({
      name: "orders.create, the last unit",
      setup: () => newGoods(1),
      callers: [buy(users[0], 1), buy(users[1], 1)],
      check: async () => {
        expect([won(), tags(), await stock()]).toEqual([1, ["OutOfStock"], 0])
      }
    })
  })

  test("orders.create: groups of two servers sell exactly what there is", async () => {
    await explored({
      name: "orders.create, groups of two servers",
      setup: () => newGoods(3),
      callers: [
        [0, 1],
        [2, 3]
      ].map((pair) => async (server: ExploredServer) => {
        await Promise.all(pair.map((user) => buy(users[user], 1)(server)))
      }),
      check: async () => {
        expect([won(), tags(), await stock()]).toEqual([3, ["OutOfStock"], 0])
      }
    })
  })

  test("orders.create: a lost reply of the database makes no second order of an idempotency key", async () => {
    await explored({
      name: "orders.create, lost replies",
      setup: () => newGoods(5),
      callers: [
        async ({ call }) => {
          const options = { token: users[0]!.token, idempotencyKey: `order-of-${sku}` }
          const order = { lines: [{ sku, quantity: 1 }] }
          const first = await call(contract.orders.create, order, options)
          await told(first.ok ? Promise.resolve(first) : call(contract.orders.create, order, options))
        },
        buy(users[1], 1)
      ],
      actors: [lostReplyOf(0)],
      check: async () => {
        expect([won(), await stock()]).toEqual([2, 3])
      }
    })
  })

  test("coupons.issue: exactly the last coupon is issued, to one of two users", async () => {
    let couponId = ""
    await explored({
      name: "coupons.issue, the last coupon",
      setup: async () => void (couponId = (await newCoupon(shop, { quantity: 1 })).id),
      callers: [0, 1].map(
        (user) =>
          ({ call }) =>
            told(call(contract.coupons.issue, { couponId }, users[user]))
      ),
      check: async () => {
        expect([won(), tags()]).toEqual([1, ["CouponSoldOut"]])
      }
    })
  })

  test("coupons.issue: one user gets one coupon of a campaign", async () => {
    let couponId = ""
    await explored({
      name: "coupons.issue, one user twice",
      setup: async () => void (couponId = (await newCoupon(shop, { quantity: 5 })).id),
      callers: [0, 1].map(
        () =>
          ({ call }) =>
            told(call(contract.coupons.issue, { couponId }, users[0]))
      ),
      check: async () => {
        expect([won(), tags()]).toEqual([1, ["CouponAlreadyIssued"]])
      }
    })
  })

  test("orders.create: a coupon is used by one of two orders", async () => {
    let userCouponId = ""
    // Goods of their own, so that the lock of a product does not keep the orders apart.
    let skus: ReadonlyArray<string> = []
    await explored({
      name: "orders.create, one coupon twice",
      setup: async () => {
        skus = [await shop.newProduct(`goods-${++made}`, 5), await shop.newProduct(`goods-${++made}`, 5)]
        const { id: couponId } = await newCoupon(shop, { quantity: 1 })
        userCouponId = (await shop.ok(contract.coupons.issue, { couponId }, users[0])).id
      },
      callers: [0, 1].map((nth) => ({ call }) => {
        const order = { lines: [{ sku: skus[nth]!, quantity: 1 }], userCouponId }
        return told(call(contract.orders.create, order, users[0]))
      }),
      check: async () => {
        expect([won(), tags()]).toEqual([1, ["CouponAlreadyUsed"]])
      }
    })
  })

  test("payments.process: an order is paid once", async () => {
    await explored({
      name: "payments.process, one order twice",
      setup: newOrder,
      callers: [pay, pay],
      check: async () => {
        // The second caller gets the first one's payment.
        expect(won()).toBe(2)
        expect(await order()).toEqual({ status: "PAID", payments: 1, refunds: 0, releases: 0 })
      }
    })
  })

  test("payments.process and orders.cancel: stock and money come back together or not at all", async () => {
    await explored({
      name: "payments.process against orders.cancel",
      setup: newOrder,
      callers: [pay, cancel],
      check: async () => {
        const now = await order()
        const isPaidFirst = now.payments === 1
        expect(now).toEqual({
          status: "CANCELLED",
          payments: now.payments,
          refunds: now.payments,
          releases: 1
        })
        expect([won(), await stock()]).toEqual([isPaidFirst ? 2 : 1, 5])
      }
    })
  })

  test("an order is paid or expires, never both", async () => {
    await explored({
      name: "payments.process against expiry",
      setup: newOrder,
      callers: [pay, expire],
      actors: [timeIsUp(shop, () => orderId)],
      check: async () => {
        const now = await order()
        const isPaid = now.status === "PAID"
        expect(won()).toBe(isPaid ? 1 : 0)
        expect(now.payments).toBe(isPaid ? 1 : 0)
        const hasExpired = now.status === "CANCELLED"
        expect([now.releases, await stock()]).toEqual(hasExpired ? [1, 5] : [0, 3])
        // The next schedule begins without overdue orders.
        await runJob(shop.servers[0], orderExpiry)
      }
    })
  })

  test("points.charge: the last top-up of the day is made once", async () => {
    let user: TestUser | undefined
    await explored({
      name: "points.charge, the last of the day",
      setup: async () => {
        ;[user] = await manyUsers(shop, 1)
        for (let n = 0; n < 2; n++) await shop.ok(contract.points.charge, { amount: 1_000 }, user)
      },
      callers: [0, 1].map(
        () =>
          ({ call }) =>
            told(call(contract.points.charge, { amount: 1_000 }, user))
      ),
      check: async () => {
        expect([won(), tags()]).toEqual([1, ["ChargeLimitExceeded"]])
        expect(await shop.ok(contract.points.balance, {}, user)).toEqual({ balance: 3_000 })
      }
    })
  })

  test("the relay gives each event one place, without gaps, and the projector counts it", async () => {
    await explored({
      name: "two relays, a projector",
      setup: async () => {
        await drain(shop.servers[0], outboxRelay, rankingProjector)
        await newGoods(1)
        await shop.ok(contract.orders.create, { lines: [{ sku, quantity: 1 }] }, users[0])
      },
      callers: [outboxRelay, outboxRelay, rankingProjector].map(
        (job) =>
          async ({ server }: ExploredServer) =>
            void (await runJob(server, job))
      ),
      check: async () => {
        await drain(shop.servers[0], outboxRelay, rankingProjector)
        const places = await one<{ n: number; last: number; open: string }>(
          "SELECT COUNT(sequence) AS n, MAX(sequence) AS last, SUM(published_at IS NULL) AS open FROM outbox"
        )
        expect([places.last, Number(places.open)]).toEqual([places.n, 0])
      }
    })
  })

  // Guarantees: whatever order callers name goods in, no two orders can wait for each other for ever.
  test("orders.create locks goods, coupons and accounts in one order", async () => {
    const skus = [await shop.newProduct("ladder", 10), await shop.newProduct("lamp", 10)]
    await using watch = await watchLocks({ upstreams: { sql: services.sql }, clients: 2 })
    const servers = await Promise.all(
      watch.ports.map((ports, nth) => startBehind({ services, database: shop.database }, ports.sql, nth))
    )
    try {
      for (const [nth, { call }] of servers.entries()) {
        const lines = (nth === 0 ? skus : skus.toReversed()).map((each) => ({ sku: each, quantity: 1 }))
        expect(await call(contract.orders.create, { lines }, users[nth])).toMatchObject({ ok: true })
      }
      expectLocks(watch.graph).toHaveOneOrder()
    } finally {
      await Promise.all(servers.map(({ server }) => server.stop()))
    }
  })

  test("the books are right after all of that", () => shop.expectRightBooks())
})
