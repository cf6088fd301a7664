import type { Socket } from "node:net"
import { settler } from "../race/deadline.ts"

/** The source is paused above the first figure and read again below the second. */
const highWaterBytes = 4 * 1024 * 1024
const lowWaterBytes = 1024 * 1024

interface Queued<Item> {
  readonly item: Item
  readonly sizeBytes: number
}

/**
 * One direction of a connection: what was read from `source` waits here, in order, until it is its turn. The queue
 * is bounded: above the high-water mark the source is not read any more, and TCP slows its sender down.
 */
export class Lane<Item> {
  readonly #source: Socket
  readonly #queue: Array<Queued<Item>> = []
  #queuedBytes = 0
  #wake: (() => void) | undefined
  #stopped = false

  constructor(source: Socket) {
    this.#source = source
  }

  push(item: Item, sizeBytes: number): void {
    if (this.#stopped) return
    this.#queue.push({ item, sizeBytes })
    this.#queuedBytes += sizeBytes
    if (this.#queuedBytes > highWaterBytes) this.#source.pause()
    this.#wake?.()
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0
  }

  stop(): void {
    this.#stopped = true
    this.#queue.length = 0
    this.#wake?.()
  }

  /** Hands the items over one at a time until the lane is stopped. */
  async run(handle: (item: Item) => Promise<void>): Promise<void> {
    while (!this.#stopped) {
      const next = this.#queue.shift()
      if (next === undefined) {
        const woken = settler<void>()
        this.#wake = woken.resolve
        await woken.promise
        continue
      }
      await handle(next.item)
      this.#queuedBytes -= next.sizeBytes
      if (this.#queuedBytes < lowWaterBytes && this.#source.isPaused()) this.#source.resume()
    }
  }
}
