/** The smallest value that at least this fraction of the values does not exceed (nearest rank). */
export const percentile = (values: ReadonlyArray<number>, fraction: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * fraction) - 1)] ?? Number.NaN
}

/** Jain's fairness index: 1 for equal shares, 1/n when one of n has everything (DEC-TR-301, 1984). */
export const jain = (shares: ReadonlyArray<number>): number => {
  const sum = shares.reduce((total, share) => total + share, 0)
  const squares = shares.reduce((total, share) => total + share * share, 0)
  return (sum * sum) / (shares.length * squares)
}

/** The percentage of pairs that are out of order: 0 for a queue, 50 for a random order. */
export const invertedPairsPercent = (order: ReadonlyArray<number>): number => {
  let inverted = 0
  for (const [index, first] of order.entries()) {
    for (const second of order.slice(index + 1)) if (second < first) inverted += 1
  }
  const pairs = (order.length * (order.length - 1)) / 2
  return (inverted / pairs) * 100
}
