/**
 * How long the frame is that begins at `offset`: its length in bytes when it is complete, else minus the number of
 * bytes that must be there before it is worth looking again. Asked about one frame until that is complete, so it may
 * remember how far it came.
 */
export type Measure = (buffer: Buffer, offset: number) => number

/** Cuts a stream of chunks into frames; keeps what is incomplete. Takes time in proportion to the bytes, however cut. */
export class Framer {
  readonly #measure: Measure
  /** What is incomplete, in the first `#size` bytes; what is behind them is room for more. */
  #storage: Buffer = Buffer.alloc(0)
  #size = 0
  #needed = 1

  constructor(measure: Measure) {
    this.#measure = measure
  }

  /** The frames that `chunk` completes. They are views of one buffer, side by side. */
  push(chunk: Buffer): Array<Buffer> {
    if (this.#size === 0) {
      this.#storage = chunk
      this.#size = chunk.length
    } else this.#append(chunk)
    return this.#size < this.#needed ? [] : this.#cut()
  }

  /** What came last and is no whole frame. */
  leftover(): Buffer {
    return this.#storage.subarray(0, this.#size)
  }

  #append(chunk: Buffer): void {
    const size = this.#size + chunk.length
    if (size > this.#storage.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(size, 2 * this.#size))
      this.#storage.copy(larger, 0, 0, this.#size)
      this.#storage = larger
    }
    chunk.copy(this.#storage, this.#size)
    this.#size = size
  }

  #cut(): Array<Buffer> {
    const buffer = this.leftover()
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
    if (offset > 0) {
      // Without the room behind it: nobody writes where the frames' owners may look.
      this.#storage = buffer.subarray(offset)
      this.#size = buffer.length - offset
    }
    return frames
  }
}

/** Joins two views that lie side by side, without copying. */
export const joinAdjacent = (left: Buffer, right: Buffer): Buffer | undefined =>
  left.buffer === right.buffer && left.byteOffset + left.length === right.byteOffset
    ? Buffer.from(left.buffer, left.byteOffset, left.length + right.length)
    : undefined
