/** The value that the fraction of the sorted values does not exceed (nearest rank). */
export const percentile = (values: ReadonlyArray<number>, fraction: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * fraction) - 1)] ?? Number.NaN
}

/** The middle value; of an even number of values, the mean of the two in the middle. */
export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = (sorted.length - 1) / 2
  return ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle)] ?? Number.NaN)) / 2
}

/** Jain's fairness index: 1 when all shares are equal, 1/n when one of n has everything (DEC-TR-301, 1984). */
export const jain = (shares: ReadonlyArray<number>): number => {
  const sum = shares.reduce((total, share) => total + share, 0)
  const squares = shares.reduce((total, share) => total + share * share, 0)
  return (sum * sum) / (shares.length * squares)
}

/** The percentage of all pairs that are out of order: 0 for a FIFO queue, 50 for a random order. */
export const invertedPairsPercent = (order: ReadonlyArray<number>): number => {
  let inverted = 0
  for (const [index, first] of order.entries()) {
    for (const second of order.slice(index + 1)) if (second < first) inverted += 1
  }
  const pairs = (order.length * (order.length - 1)) / 2
  return (inverted / pairs) * 100
}

/** The slope of the least-squares line; 0 for fewer than two points. */
export const slopeOf = (points: ReadonlyArray<{ readonly x: number; readonly y: number }>): number => {
  const mean = (values: ReadonlyArray<number>) =>
    values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)
  const meanX = mean(points.map(({ x }) => x))
  const meanY = mean(points.map(({ y }) => y))
  const spread = points.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0)
  return spread === 0 ? 0 : points.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0) / spread
}
