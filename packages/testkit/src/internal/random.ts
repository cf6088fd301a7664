/**
 * Seeded random numbers: sfc32, the small fast chaotic generator of Chris Doty-Humphrey's PractRand (public domain),
 * seeded with FNV-1a of the stream's name. The numbers never change, so a seed that once failed a test stays valid.
 */

/** Returns numbers from 0 (inclusive) to 1 (exclusive), the same sequence for the same seed and name. */
export type RandomStream = () => number

/**
 * Creates an independent stream for each use, so that the draws of one connection do not depend on the traffic of
 * another.
 *
 * @param seed any number or text, as printed by a failing test
 * @param name what the stream is for, such as "connection 3"
 */
export const randomStream = (seed: number | string, name: string): RandomStream => {
  const words = [0, 1, 2].map((word) => fnv1a(`${seed}/${name}/${word}`))
  const next = sfc32(words[0] ?? 0, words[1] ?? 0, words[2] ?? 0)
  // PractRand mixes the state for twelve rounds before it uses the first number.
  for (let round = 0; round < 12; round += 1) next()
  return () => next() / 2 ** 32
}

/** Draws of whole numbers and items, repeatable by seed. */
export interface Random {
  /** A number in [0, 1). */
  readonly next: RandomStream
  /** A whole number in [0, below). */
  readonly below: (below: number) => number
  readonly pick: <Item>(items: ReadonlyArray<Item>) => Item
  /** The items in a random order. */
  readonly shuffle: <Item>(items: ReadonlyArray<Item>) => Array<Item>
}

/** The draws of one explored schedule or simulated history. */
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
    // Sorting by one draw per item is a fair shuffle as long as no two draws are equal.
    shuffle: (items) =>
      items
        .map((item) => ({ item, draw: next() }))
        .toSorted((a, b) => a.draw - b.draw)
        .map(({ item }) => item)
  }
}

/** sfc32 of PractRand 0.94: three words of chaotic state and a counter; returns unsigned 32-bit words. */
export const sfc32 = (first: number, second: number, third: number): (() => number) => {
  let [a, b, c, counter] = [first | 0, second | 0, third | 0, 1]
  return () => {
    const output = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + output) | 0
    return output >>> 0
  }
}

/** FNV-1a, 32 bits, over UTF-16 code units (Fowler, Noll, Vo). */
const fnv1a = (text: string): number => {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index += 1)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  return hash >>> 0
}
