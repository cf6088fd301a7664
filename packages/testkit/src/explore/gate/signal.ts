import { setImmediate as nextTurn } from "node:timers/promises"

/** Lets one waiter know that something happened. */
export class Signal {
  #version = 0
  #wake: (() => void) | undefined

  /** Grows with every notification. */
  get version(): number {
    return this.#version
  }

  notify(): void {
    this.#version++
    this.#wake?.()
  }

  /** Resolves at the next notification or after so long; true when something happened. */
  async within(ms: number): Promise<boolean> {
    const before = this.#version
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      timer = setTimeout(resolve, ms)
    })
    clearTimeout(timer)
    this.#wake = undefined
    // A process that had to wait for the processor finds its timers due before it looks at its sockets.
    if (this.#version === before) await nextTurn()
    return this.#version !== before
  }
}
