import { bytesOf, newId } from "../people.ts"
import { type Call, insertAnswer, insertEvent } from "./calls.ts"
import { Refusal, rows, transaction, write } from "./database.ts"
import { type PassFence, underLock } from "./locks.ts"
import { has } from "./parts.ts"
import { redis } from "./redis.ts"

const DAY_MS = 86_400_000

interface Line {
  readonly sku: string
  readonly quantity: number
}

type OrderCall = Call<{ readonly lines: ReadonlyArray<Line> }>

export const createOrder = (call: OrderCall) =>
  underLock(call.userId, call.input.lines, (passFence) => placeOrder(call, passFence))

/** The rows that callers share are updated last, so that their locks are held briefly. */
const placeOrder = async (call: OrderCall, passFence: PassFence) => {
  const lines = call.input.lines.toSorted((a, b) => (a.sku < b.sku ? -1 : 1))
  const id = newId()
  const createdAt = new Date()
  const expiresAt = new Date(createdAt.getTime() + DAY_MS)
  return transaction(async (on) => {
    await passFence(on)
    const items: Array<Line & { readonly unitPriceMinor: number }> = []
    for (const line of lines) {
      const [product] = await rows<{ price_minor: number }>(
        "SELECT price_minor FROM products WHERE sku = ?",
        [line.sku],
        on
      )
      if (product === undefined) throw new Refusal(404, "ProductNotFound")
      items.push({ ...line, unitPriceMinor: product.price_minor })
    }
    const totalMinor = items.reduce((sum, item) => sum + item.quantity * item.unitPriceMinor, 0)
    const order = { id, userId: call.userId, status: "PENDING", items, totalMinor, createdAt, expiresAt }
    await write(
      on,
      `INSERT INTO orders (id, user_id, status, total_minor, created_at, expires_at)
       VALUES (?, ?, 'PENDING', ?, ?, ?)`,
      [bytesOf(id), bytesOf(call.userId), totalMinor, createdAt, expiresAt]
    )
    for (const { quantity, sku, unitPriceMinor } of items) {
      await write(
        on,
        "INSERT INTO order_items (order_id, sku, quantity, unit_price_minor) VALUES (?, ?, ?, ?)",
        [bytesOf(id), sku, quantity, unitPriceMinor]
      )
      if (has("ledger"))
        await write(
          on,
          "INSERT INTO stock_ledger (sku, delta, kind, order_id) VALUES (?, ?, 'reservation', ?)",
          [sku, -quantity, bytesOf(id)]
        )
    }
    await insertEvent(on, "order.created", {
      orderId: id,
      userId: call.userId,
      skus: items.map(({ sku }) => sku)
    })
    await insertAnswer(on, call, order)
    for (const { quantity, sku } of items) {
      const taken = await write(on, "UPDATE products SET stock = stock - ? WHERE sku = ? AND stock >= ?", [
        quantity,
        sku,
        quantity
      ])
      if (taken.affectedRows !== 1) throw new Refusal(409, "OutOfStock")
    }
    return order
  })
}

export const processPayment = async (call: Call<{ readonly orderId: string }>) => {
  const { orderId } = call.input
  const { userId } = call
  const id = newId()
  const answer = await transaction(async (on) => {
    const [order] = await rows<{ total_minor: number }>(
      "SELECT total_minor FROM orders WHERE id = ? AND user_id = ?",
      [bytesOf(orderId), bytesOf(userId)],
      on
    )
    if (order === undefined) throw new Refusal(404, "OrderNotFound")
    const amountMinor = order.total_minor
    const paid = await write(on, "UPDATE orders SET status = 'PAID' WHERE id = ? AND status = 'PENDING'", [
      bytesOf(orderId)
    ])
    if (paid.affectedRows !== 1) throw new Refusal(409, "OrderNotPayable")
    // `last_insert_id` brings the new balance back with the update.
    const debit = await write(
      on,
      `UPDATE point_accounts SET balance = last_insert_id(balance - ?), spent = spent + ?
       WHERE user_id = ? AND balance >= ?`,
      [amountMinor, amountMinor, bytesOf(userId), amountMinor]
    )
    if (debit.affectedRows !== 1) throw new Refusal(409, "InsufficientPoints")
    await write(
      on,
      `INSERT INTO point_ledger (user_id, delta, balance_after, kind, order_id) VALUES (?, ?, ?, 'payment', ?)`,
      [bytesOf(userId), -amountMinor, debit.insertId, bytesOf(orderId)]
    )
    await write(on, "INSERT INTO payments (id, order_id, user_id, amount_minor) VALUES (?, ?, ?, ?)", [
      bytesOf(id),
      bytesOf(orderId),
      bytesOf(userId),
      amountMinor
    ])
    await insertEvent(on, "order.paid", { orderId, userId, paymentId: id, amountMinor })
    const payment = { id, orderId, amountMinor, createdAt: new Date() }
    await insertAnswer(on, call, payment)
    return payment
  })
  await redis.del(`floor:points.balance:${userId}`)
  return answer
}
