import { describe, expect, it } from "vitest"
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
  it("keep the keys that other clients of the same Redis use", () => {
    expect(RegisterLock.key("ann@example.com")).toBe("register:ann@example.com")
    expect(CouponIssueLock.key(userId)).toBe(`coupon:issue:user:${userId}`)
    expect(OrderCreateLock.key({ userId, lines: [line("tea", 2)] })).toBe(`order:create:${userId}:tea:2`)
    expect(PaymentProcessLock.key(orderId)).toBe(`payment:process:${orderId}`)
    expect(PointsChargeLock.key(userId)).toBe(`points:charge:${userId}`)
  })

  it("give one key to one e-mail address, however it is written", () => {
    expect(RegisterLock.key(" Ann@Example.COM ")).toBe(RegisterLock.key("ann@example.com"))
  })

  it("give one key to one basket, whatever the order and the split of its lines", () => {
    const key = OrderCreateLock.key({ userId, lines: [line("tea", 3), line("cup", 1)] })
    expect(OrderCreateLock.key({ userId, lines: [line("cup", 1), line("tea", 1), line("tea", 2)] })).toBe(key)
    expect(key).toBe(`order:create:${userId}:cup:1,tea:3`)
  })

  it("wait in line where the policy says so, and nowhere else", () => {
    const modes = Object.fromEntries(Object.values(commerceLocks.scopes).map((s) => [s.name, s.policy.mode]))
    expect(modes).toEqual({
      register: "optimistic",
      "coupon.issue": "pessimistic",
      "order.create": "optimistic",
      "payment.process": "optimistic",
      "points.charge": "pessimistic"
    })
  })

  // Guarantees: who asks again for what a dead process was doing gets through within 5 seconds.
  it("end soon after their process died, and while the next one in line still waits", () => {
    for (const { policy } of Object.values(commerceLocks.scopes)) {
      expect(policy.leaseMs).toBeLessThanOrEqual(4_000)
      if (policy.mode === "pessimistic") expect(policy.waitMs).toBeGreaterThan(policy.leaseMs)
    }
  })

  it("are ranked in the order of their definition", () => {
    expect(commerceLocks.names.map((name) => commerceLocks.scopes[name].rank)).toEqual([0, 1, 2, 3, 4])
  })
})

describe("an order of one's own", () => {
  const scope = <const Name extends string>(name: Name, prefix: string) =>
    lockScope({ name, prefix, subject: (id: number) => String(id), mode: "pessimistic" })

  it("can be built on another's", () => {
    const { names, scopes } = defineLockOrder([scope("report", "report:"), ...commerceLocks.definitions])
    expect(names).toEqual(["report", ...commerceLocks.names])
    expect(scopes.register.rank).toBe(1)
    expect(scopes.report.key(7)).toBe("report:7")
  })

  it("refuses names and keys that could be mistaken for one another", () => {
    expect(() => defineLockOrder([scope("a", "a:"), scope("a", "b:")])).toThrow("two locks are named 'a'")
    expect(() => defineLockOrder([scope("a", "a:"), scope("b", "a:b:")])).toThrow("can be mistaken")
    expect(() => defineLockOrder([scope("a", "")])).toThrow("empty prefix")
  })

  it("refuses policies that make no sense", () => {
    const define = (policy: object) => () => defineLockOrder([{ ...scope("a", "a:"), ...policy }])
    expect(define({ leaseMs: 10 })).toThrow("lease of 10 ms")
    expect(define({ waitMs: -1 })).toThrow("wait of -1 ms")
    expect(define({ permits: 0 })).toThrow("0 permits")
    expect(define({ permits: 2, fenced: true })).toThrow("a fence admits one holder")
  })
})
