import type { Socket } from "node:net"
import { settler } from "../internal/promises.ts"

/** The source is paused above the high-water mark and resumed below the low-water mark. */
const highWaterBytes = 4 * 1024 * 1024
const lowWaterBytes = 1024 * 1024

interface Queued<Item> {
  readonly item: Item
  readonly sizeBytes: number
}

/**
 * One direction of a connection: frames read from `source` wait here, in order. The queue is bounded: above the
 * high-water mark the source is paused, and TCP slows the sender down.
 */
export class FrameQueue<Item> {
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

  stop(): void {
    this.#stopped = true
    this.#queue.length = 0
    this.#wake?.()
  }

  /** Handles the items one at a time until the queue is stopped. */
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
