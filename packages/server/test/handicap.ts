/** Who ended an order that was paid, cancelled and due to expire in the same moment. */
export type Winner = "paid" | "cancelled" | "expired"

/**
 * How far apart the sides of such a race start. A payment has the longest way to the order's row, by its lock; how long
 * that is depends on the machine. So each race's winner starts a little later the next time: every side wins some, and
 * most races are close.
 */
export const makeHandicap = () => {
  let leadMs = 0
  let graceMs = 0
  return {
    /** By how much the payment is sent before the others. */
    leadMs: () => leadMs,
    /** How long the order can still be cancelled after that. */
    graceMs: () => graceMs,
    learn: (winner: Winner): void => {
      leadMs = winner === "paid" ? Math.max(0, leadMs - 4) : leadMs + 2
      if (winner === "cancelled") graceMs = Math.max(0, graceMs - 3)
      if (winner === "expired") graceMs += 3
    }
  }
}
