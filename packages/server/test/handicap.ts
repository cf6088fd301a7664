/** The outcome for an order that was paid, cancelled and due to expire at the same moment. */
export type Winner = "paid" | "cancelled" | "expired"

/**
 * The head starts in such a race. A payment takes longest to reach the order's row, how much longer depends on the
 * machine. The winner of a race starts a little later in the next, so every side wins some and most races are close.
 */
export const makeHandicap = () => {
  let leadMs = 0
  let graceMs = 0
  return {
    /** How long before the others the payment is sent. */
    leadMs: () => leadMs,
    /** How long after that the order can still be cancelled. */
    graceMs: () => graceMs,
    learn: (winner: Winner): void => {
      leadMs = winner === "paid" ? Math.max(0, leadMs - 4) : leadMs + 2
      if (winner === "cancelled") graceMs = Math.max(0, graceMs - 3)
      if (winner === "expired") graceMs += 3
    }
  }
}
