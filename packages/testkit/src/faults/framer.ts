/**
 * Returns the length in bytes of the frame at `offset` when it is complete, else minus the number of bytes needed before
 * the next call. It is called for one frame until that is complete, so it may remember its progress.
 */
export type Measure = (buffer: Buffer, offset: number) => number

/** Cuts a stream of chunks into frames. Its cost is linear in the bytes, however they are chunked. */
export class Framer {
  readonly #measure: Measure
  /** The incomplete frame in the first `#size` bytes, followed by spare room. */
  #storage: Buffer = Buffer.alloc(0)
  #size = 0
  #needed = 1

  constructor(measure: Measure) {
    this.#measure = measure
  }

  /** The frames that `chunk` completes, as adjacent views of one buffer. */
  push(chunk: Buffer): Array<Buffer> {
    if (this.#size === 0) {
      this.#storage = chunk
      this.#size = chunk.length
    } else this.#append(chunk)
    return this.#size < this.#needed ? [] : this.#cut()
  }

  /** The bytes of the incomplete frame. */
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
      // Without spare room, because the frames' owners may still read that buffer.
      this.#storage = buffer.subarray(offset)
      this.#size = buffer.length - offset
    }
    return frames
  }
}

/** Joins two adjacent views without copying; undefined when they are not adjacent. */
export const joinAdjacent = (left: Buffer, right: Buffer): Buffer | undefined =>
  left.buffer === right.buffer && left.byteOffset + left.length === right.byteOffset
    ? Buffer.from(left.buffer, left.byteOffset, left.length + right.length)
    : undefined
