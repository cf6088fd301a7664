import { describe, expect, test } from "vitest"
import { OrderId, Sku, UserId } from "./index.ts"
import {
  CouponIssueLock,
  commerceLocks,
  OrderCreateLock,
  PaymentProcessLock,
  PointsChargeLock,
  RegisterLock
} from "./commerce-locks.ts"
import { defineLockOrder, lockScope } from "./locks/order.ts"

const userId = UserId.make("01890a5d-ac96-774b-bcce-b302099a8057")
const orderId = OrderId.make("01890a5d-ac96-774b-bcce-b302099a8058")
const line = (sku: string, quantity: number) => ({ sku: Sku.make(sku), quantity })

describe("the shop's lock scopes", () => {
  test("keep the keys that other clients of the same Redis use", () => {
    expect(RegisterLock.key("ann@example.com")).toBe("register:ann@example.com")
    expect(CouponIssueLock.key(userId)).toBe(`coupon:issue:user:${userId}`)
    expect(OrderCreateLock.key({ userId, lines: [line("tea", 2)] })).toBe(`order:create:${userId}:tea:2`)
    expect(PaymentProcessLock.key(orderId)).toBe(`payment:process:${orderId}`)
    expect(PointsChargeLock.key(userId)).toBe(`points:charge:${userId}`)
  })

  test("map every spelling of an e-mail address to the same key", () => {
    expect(RegisterLock.key(" Ann@Example.COM ")).toBe(RegisterLock.key("ann@example.com"))
  })

  test("map orders of the same goods to the same key, however their lines are ordered or split", () => {
    const key = OrderCreateLock.key({ userId, lines: [line("tea", 3), line("cup", 1)] })
    expect(OrderCreateLock.key({ userId, lines: [line("cup", 1), line("tea", 1), line("tea", 2)] })).toBe(key)
    expect(key).toBe(`order:create:${userId}:cup:1,tea:3`)
  })

  test("queue in the pessimistic scopes only", () => {
    const modes = Object.fromEntries(Object.values(commerceLocks.scopes).map((s) => [s.name, s.policy.mode]))
    expect(modes).toEqual({
      register: "optimistic",
      "coupon.issue": "pessimistic",
      "order.create": "optimistic",
      "payment.process": "optimistic",
      "points.charge": "pessimistic"
    })
  })

  // Guarantees: a retry of a crashed process's request gets the lock within 5 seconds.
  test("expire within 4 seconds of a crash, while the next waiter is still queued", () => {
    for (const { policy } of Object.values(commerceLocks.scopes)) {
      expect(policy.leaseMs).toBeLessThanOrEqual(4_000)
      if (policy.mode === "pessimistic") expect(policy.waitMs).toBeGreaterThan(policy.leaseMs)
    }
  })

  test("are ranked in the order of their definition", () => {
    expect(commerceLocks.names.map((name) => commerceLocks.scopes[name].rank)).toEqual([0, 1, 2, 3, 4])
  })
})

describe("a custom lock order", () => {
  const scope = <const Name extends string>(name: Name, prefix: string) =>
    lockScope({ name, prefix, subject: (id: number) => String(id), mode: "pessimistic" })

  test("can extend another order", () => {
    const { names, scopes } = defineLockOrder([scope("report", "report:"), ...commerceLocks.definitions])
    expect(names).toEqual(["report", ...commerceLocks.names])
    expect(scopes.register.rank).toBe(1)
    expect(scopes.report.key(7)).toBe("report:7")
  })

  test("rejects names and keys that could be confused", () => {
    expect(() => defineLockOrder([scope("a", "a:"), scope("a", "b:")])).toThrow("two locks are named 'a'")
    expect(() => defineLockOrder([scope("a", "a:"), scope("b", "a:b:")])).toThrow("can be mistaken")
    expect(() => defineLockOrder([scope("a", "")])).toThrow("empty prefix")
  })

  test("rejects invalid policies", () => {
    const define = (policy: object) => () => defineLockOrder([{ ...scope("a", "a:"), ...policy }])
    expect(define({ leaseMs: 10 })).toThrow("lease of 10 ms")
    expect(define({ waitMs: -1 })).toThrow("wait of -1 ms")
    expect(define({ permits: 0 })).toThrow("0 permits")
    expect(define({ permits: 2, fenced: true })).toThrow("a fence admits one holder")
  })
})
