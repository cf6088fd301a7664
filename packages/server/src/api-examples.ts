import type { HoldfastContract, InputOf, Procedure } from "@holdfast/domain"

type Example<P extends Procedure> = { readonly input: InputOf<P>; readonly output: P["output"]["Encoded"] }
type Examples = {
  readonly [Group in keyof HoldfastContract]: {
    readonly [Name in keyof HoldfastContract[Group]]: HoldfastContract[Group][Name] extends Procedure
      ? Example<HoldfastContract[Group][Name]>
      : never
  }
}

export const userId = "0192f0c1-8a4e-7b3d-9c55-2f6d1e0a7b41"
export const orderId = "0192f0c2-1b7a-7c10-8e02-5a4b3c2d1e0f"
export const couponId = "0192f0bf-3c5d-7e21-9a8b-7c6d5e4f3a2b"
export const userCouponId = "0192f0c1-f00d-7a1b-8c2d-3e4f5a6b7c8d"
export const ticketId = "0192f0c1-ee01-7f00-9b1a-2c3d4e5f6071"

export const time = (clock: string) => `2026-03-02T${clock}.000Z`

const entry = { chain: 0, position: 3, at: time("10:00:00"), actorId: userId } as const
const user = { id: userId, email: "ann@shop.example", role: "user", createdAt: time("09:00:00") } as const
const session = {
  user,
  accessToken: "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl",
  accessExpiresAt: time("09:15:00"),
  refreshToken: "eyJhbGciOiJIUzI1NiJ9.e30.YW5vdGhlcg",
  refreshExpiresAt: "2026-04-01T09:00:00.000Z"
}
const openSession = {
  id: "0192f0c1-beef-7b3d-9c55-2f6d1e0a7b42",
  createdAt: time("09:00:00"),
  lastUsedAt: time("09:10:00"),
  expiresAt: session.refreshExpiresAt,
  address: "192.0.2.7",
  userAgent: "Mozilla/5.0",
  isCurrent: true
}
const product = {
  sku: "MUG-BLUE",
  name: "A blue mug",
  category: "kitchen",
  priceMinor: 1_200,
  stock: 40,
  createdAt: time("08:00:00")
}
const discount = { kind: "percent", percent: 20 } as const
const terms = { name: "Spring", discount, minimumOrderMinor: 1_000 }
const coupon = {
  id: couponId,
  ...terms,
  quantity: 100,
  issued: 42,
  startsAt: time("09:00:00"),
  endsAt: "2026-03-09T09:00:00.000Z",
  validDays: 30,
  paused: false,
  createdAt: time("08:00:00")
}
export const userCoupon = {
  id: userCouponId,
  couponId,
  userId,
  ...terms,
  issuedAt: time("09:01:00"),
  expiresAt: "2026-04-01T09:01:00.000Z"
}
const order = {
  id: orderId,
  userId,
  status: "PENDING",
  items: [{ sku: "MUG-BLUE", quantity: 2, unitPriceMinor: 1_200 }],
  totalMinor: 1_920,
  discountMinor: 480,
  userCouponId,
  createdAt: time("09:02:00"),
  expiresAt: time("09:12:00")
} as const
const cancellation = { at: time("09:05:00"), reason: "customer" } as const
const payment = { id: ticketId, orderId, amountMinor: 1_920, createdAt: time("09:03:00") }
const ticket = {
  id: ticketId,
  couponId,
  requestedAt: time("09:01:00"),
  result: { status: "waiting" }
} as const
const firstPage = { limit: 20 }

/** A call of each procedure, for the API reference. */
export const examples: Examples = {
  auth: {
    register: { input: { email: "ann@shop.example", password: "correct horse battery" }, output: user },
    login: { input: { email: "ann@shop.example", password: "correct horse battery" }, output: session },
    refresh: { input: { refreshToken: session.refreshToken }, output: session },
    me: { input: {}, output: user },
    logout: { input: {}, output: {} },
    sessions: { input: firstPage, output: { items: [openSession] } },
    revokeSession: { input: { sessionId: openSession.id }, output: {} },
    changePassword: {
      input: { currentPassword: "correct horse battery", newPassword: "an even longer phrase" },
      output: {}
    }
  },
  points: {
    balance: { input: {}, output: { balance: 5_000 } },
    charge: { input: { amount: 5_000 }, output: { balance: 10_000 } },
    history: {
      input: firstPage,
      output: {
        items: [{ kind: "payment", delta: -1_920, balanceAfter: 8_080, orderId, createdAt: time("09:03:00") }]
      }
    }
  },
  products: {
    bySku: { input: { sku: "MUG-BLUE" }, output: product },
    page: {
      input: { category: "kitchen", limit: 20 },
      output: { items: [product], nextCursor: "TVVHLUJMVUU" }
    },
    search: { input: { text: "blue mug" }, output: { items: [product] } },
    categories: { input: {}, output: [{ category: "kitchen", products: 12 }] },
    topSellers: {
      input: { limit: 10 },
      output: {
        from: "2026-02-28",
        to: "2026-03-02",
        products: [{ sku: "MUG-BLUE", name: "A blue mug", unitsSold: 310 }]
      }
    },
    watchStock: { input: { sku: "MUG-BLUE" }, output: { sku: "MUG-BLUE", stock: 38 } }
  },
  coupons: {
    byId: { input: { couponId }, output: coupon },
    page: { input: firstPage, output: { items: [coupon] } },
    issue: { input: { couponId }, output: userCoupon },
    mine: { input: firstPage, output: { items: [userCoupon] } },
    requestIssue: { input: { couponId }, output: ticket },
    ticket: { input: { ticketId }, output: { ...ticket, result: { status: "issued", coupon: userCoupon } } },
    watchTicket: { input: { ticketId }, output: ticket }
  },
  orders: {
    create: { input: { lines: [{ sku: "MUG-BLUE", quantity: 2 }], userCouponId }, output: order },
    get: { input: { orderId }, output: { ...order, status: "PAID" } },
    page: { input: firstPage, output: { items: [order] } },
    cancel: { input: { orderId }, output: { ...order, status: "CANCELLED", cancellation } },
    watch: { input: { orderId }, output: { id: orderId, status: "CANCELLED", cancellation } }
  },
  payments: {
    process: { input: { orderId }, output: payment },
    get: { input: { orderId }, output: payment }
  },
  admin: {
    createProduct: {
      input: {
        sku: "MUG-BLUE",
        name: "A blue mug",
        category: "kitchen",
        priceMinor: 1_200,
        initialStock: 40
      },
      output: product
    },
    adjustStock: {
      input: { sku: "MUG-BLUE", delta: -2, reason: "broken" },
      output: { ...product, stock: 38 }
    },
    createCoupon: {
      input: { ...terms, quantity: 100, startsAt: coupon.startsAt, endsAt: coupon.endsAt, validDays: 30 },
      output: { ...coupon, issued: 0 }
    },
    pauseCoupon: { input: { couponId }, output: { ...coupon, paused: true } },
    resumeCoupon: { input: { couponId }, output: coupon },
    raiseCouponQuantity: { input: { couponId, additional: 50 }, output: { ...coupon, quantity: 150 } },
    couponCounts: {
      input: firstPage,
      output: { items: [{ coupon, used: 7, waiting: 0, gate: { free: 58, reserved: 0 } }] }
    },
    grantPoints: { input: { userId, amount: 5_000, reason: "a present" }, output: { balance: 5_000 } },
    deadLetters: {
      input: firstPage,
      output: {
        items: [
          {
            deliveryId: 17,
            eventId: 204,
            topic: "order.paid",
            body: `{"orderId":"${orderId}"}`,
            attempts: 10,
            lastError: "answered 500",
            lastAttemptAt: time("10:00:00")
          }
        ]
      }
    },
    retryDelivery: { input: { deliveryId: 17 }, output: { deliveryId: 17 } },
    auditTrail: {
      input: { subject: "product:TEA" },
      output: { items: [{ ...entry, procedure: "admin.adjustStock", subject: "product:TEA" }] }
    }
  }
}
