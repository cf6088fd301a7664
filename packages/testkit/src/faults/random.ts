/**
 * Seeded random numbers: sfc32, the small fast chaotic generator of Chris Doty-Humphrey's PractRand (public domain),
 * seeded by FNV-1a of the stream's name. A seed that once failed a test stays valid: the numbers never change.
 */

/** Numbers from 0 (included) to 1 (excluded), the same ones for the same seed and name. */
export type RandomStream = () => number

/**
 * An independent stream for each use, so that what one connection draws does not depend on what others do.
 *
 * @param seed any number or text, as printed by a failing test.
 * @param name what the stream is for, such as "connection 3".
 */
export const randomStream = (seed: number | string, name: string): RandomStream => {
  const words = [0, 1, 2].map((word) => fnv1a(`${seed}/${name}/${word}`))
  const next = sfc32(words[0] ?? 0, words[1] ?? 0, words[2] ?? 0)
  // PractRand's own seeding mixes the state for twelve rounds before the first number is used.
  for (let round = 0; round < 12; round += 1) next()
  return () => next() / 2 ** 32
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
