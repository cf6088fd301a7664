import { FetchFailure, late } from "./bounded-fetch.ts"
import type { Sending, TransportReply, TransportRequest } from "./transport.ts"
import { transportErrorOf } from "./wire.ts"

/** A request and its pending reply. It is open until it is answered, times out or is cancelled. */
export class PendingCall implements Sending {
  readonly request: TransportRequest
  readonly reply: Promise<TransportReply>
  /** Called when the caller has cancelled. */
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

  /** Whether the caller is still waiting. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  settle(reply: TransportReply): void {
    this.#end()
    this.#resolve(reply)
  }

  /** Rejects the reply. A cause other than a failed exchange is a bug of the application and is passed on unchanged. */
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
