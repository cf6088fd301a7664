import { FetchFailure, late } from "./bounded-fetch.ts"
import type { Sending, TransportReply, TransportRequest } from "./transport.ts"
import { transportErrorOf } from "./wire.ts"

/** A request and whoever waits for its reply, until there is one, the time is up, or nobody waits any more. */
export class PendingCall implements Sending {
  readonly request: TransportRequest
  readonly reply: Promise<TransportReply>
  /** Called when the one who waited has left. */
  onLeave: () => void = () => {}
  #isOpen = true
  readonly #timer: ReturnType<typeof setTimeout>
  #resolve!: (reply: TransportReply) => void
  #reject!: (error: unknown) => void

  constructor(request: TransportRequest) {
    this.request = request
    this.reply = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#timer = setTimeout(() => {
      this.#reject(transportErrorOf(request.procedure, late()))
      this.cancel()
    }, request.timeoutMs)
  }

  /** Whether anybody still waits. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  settle(reply: TransportReply): void {
    this.#end()
    this.#resolve(reply)
  }

  /** What is no failure of the exchange is a fault of the program, and stays what it is. */
  fail(cause: unknown): void {
    this.#end()
    this.#reject(cause instanceof FetchFailure ? transportErrorOf(this.request.procedure, cause) : cause)
  }

  readonly cancel = (): void => {
    if (!this.#isOpen) return
    this.#end()
    this.onLeave()
  }

  #end(): void {
    this.#isOpen = false
    clearTimeout(this.#timer)
  }
}
