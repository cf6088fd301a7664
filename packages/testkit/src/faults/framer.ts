/**
 * How long the frame is that begins at `offset`: its length in bytes when it is complete, else minus the number of
 * bytes that must be there before it is worth looking again.
 */
export type Measure = (buffer: Buffer, offset: number) => number

/** Cuts a stream of chunks into frames; keeps what is incomplete. */
export class Framer {
  readonly #measure: Measure
  #chunks: Array<Buffer> = []
  #size = 0
  #needed = 1

  constructor(measure: Measure) {
    this.#measure = measure
  }

  /** The frames that `chunk` completes. They are views of one buffer, side by side. */
  push(chunk: Buffer): Array<Buffer> {
    this.#chunks.push(chunk)
    this.#size += chunk.length
    if (this.#size < this.#needed) return []
    const buffer = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks)
    const frames: Array<Buffer> = []
    let offset = 0
    this.#needed = 1
    while (offset < buffer.length) {
      const length = this.#measure(buffer, offset)
      if (length <= 0) {
        this.#needed = Math.max(1, -length)
        break
      }
      frames.push(buffer.subarray(offset, offset + length))
      offset += length
    }
    this.#chunks = offset === buffer.length ? [] : [buffer.subarray(offset)]
    this.#size = buffer.length - offset
    return frames
  }

  /** What came last and is no whole frame. */
  leftover(): Buffer {
    return Buffer.concat(this.#chunks)
  }
}

/** Joins two views that lie side by side, without copying. */
export const joinAdjacent = (left: Buffer, right: Buffer): Buffer | undefined =>
  left.buffer === right.buffer && left.byteOffset + left.length === right.byteOffset
    ? Buffer.from(left.buffer, left.byteOffset, left.length + right.length)
    : undefined
