import { randomStream } from "../faults/random.ts"

/** Draws that are the same for the same seed. */
export interface Random {
  /** A number in [0, 1). */
  readonly next: () => number
  /** A whole number in [0, below). */
  readonly below: (below: number) => number
  readonly pick: <Item>(items: ReadonlyArray<Item>) => Item
  /** The items in a random order. */
  readonly shuffle: <Item>(items: ReadonlyArray<Item>) => Array<Item>
}

export const seededRandom = (seed: number | string): Random => {
  const next = randomStream(seed, "explore")
  const below = (limit: number): number => Math.floor(next() * limit)
  return {
    next,
    below,
    pick: (items) => {
      const item = items[below(items.length)]
      if (item === undefined) throw new RangeError("Nothing to pick from.")
      return item
    },
    // Sorting by one draw each is a fair shuffle as long as no two draws are equal.
    shuffle: (items) =>
      items
        .map((item) => ({ item, draw: next() }))
        .toSorted((a, b) => a.draw - b.draw)
        .map(({ item }) => item)
  }
}
