import { setImmediate as nextTurn } from "node:timers/promises"

/** Wakes one waiter when something happens. */
export class Signal {
  #version = 0
  #wake: (() => void) | undefined

  /** Changes with every notification. */
  get version(): number {
    return this.#version
  }

  notify(): void {
    this.#version++
    this.#wake?.()
  }

  /** Resolves at the next notification, or after `ms`; true when there was one. */
  async within(ms: number): Promise<boolean> {
    const before = this.#version
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      timer = setTimeout(resolve, ms)
    })
    clearTimeout(timer)
    this.#wake = undefined
    // In a process that was starved of CPU, timers fire before sockets are read.
    if (this.#version === before) await nextTurn()
    return this.#version !== before
  }
}
