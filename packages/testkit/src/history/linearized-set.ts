const FULL = 0xffffffff

/**
 * The set of operations linearized so far, with a short exact key. Operations are numbered by their call, so nearly all
 * small numbers are in the set and nearly all large ones are not; the key holds only the words in between.
 */
export class LinearizedSet {
  readonly #words: Uint32Array
  /** All words below this index are full. */
  #low = 0
  /** All words from this index on are empty. */
  #high = 0

  constructor(capacity: number) {
    this.#words = new Uint32Array((capacity + 31) >>> 5)
  }

  has(member: number): boolean {
    return (this.#word(member >>> 5) & (1 << (member & 31))) !== 0
  }

  add(member: number): void {
    const index = member >>> 5
    this.#words[index] = this.#word(index) | (1 << (member & 31))
    this.#high = Math.max(this.#high, index + 1)
    while (this.#low < this.#high && this.#word(this.#low) === FULL) this.#low++
  }

  delete(member: number): void {
    const index = member >>> 5
    this.#words[index] = this.#word(index) & ~(1 << (member & 31))
    this.#low = Math.min(this.#low, index)
    while (this.#high > this.#low && this.#word(this.#high - 1) === 0) this.#high--
  }

  /** Equal if and only if the sets are equal. */
  key(): string {
    let key = String(this.#low)
    for (let index = this.#low; index < this.#high; index++) key += `,${this.#word(index).toString(36)}`
    return key
  }

  #word(index: number): number {
    return this.#words[index] ?? 0
  }
}
