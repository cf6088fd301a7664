/** What became of a call: a unit was sold, none is left, or the strategy gave up. */
export type Outcome = "sold" | "soldOut" | "refused"
