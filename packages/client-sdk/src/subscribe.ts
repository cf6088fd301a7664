import { inputOf, throwIfAborted, thrownBy } from "./invoke.ts"
import { contextOf, newCall } from "./links/call.ts"
import type { Send } from "./links/chain.ts"
import type { Operation } from "./operation.ts"

/** Runs a subscription and yields its answers. */
export type Subscribe = (
  operation: Operation,
  input: unknown,
  signal?: AbortSignal
) => AsyncGenerator<unknown, void, undefined>

/** How many answers wait for a slow reader. Each shows the whole state, so the oldest give way to newer ones. */
const UNREAD_ANSWERS = 100

/**
 * Creates the function that runs subscriptions. The links reopen broken connections; the generator throws the error that
 * ends the subscription. Leaving the generator closes the connection.
 */
export const makeSubscribe = (send: Send): Subscribe =>
  async function* (operation, input, signal) {
    throwIfAborted(signal)
    const call = newCall()
    const request = {
      type: "subscription",
      path: operation.name,
      input: inputOf(operation, input, call),
      context: contextOf(call),
      signal: signal ?? null
    } as const
    const unread: Array<unknown> = []
    let end: { readonly error?: unknown } | undefined
    let wake = () => {}
    const note = (happened: () => void) => {
      happened()
      wake()
    }
    const subscription = send(request).subscribe({
      next: ({ result }) => {
        if (result.type !== undefined && result.type !== "data") return
        note(() => {
          if (unread.push(result.data) > UNREAD_ANSWERS) unread.shift()
        })
      },
      error: (error) => note(() => (end = { error })),
      complete: () => note(() => (end ??= {}))
    })
    try {
      while (true) {
        if (unread.length > 0) yield unread.shift()
        else if (end === undefined) await new Promise<void>((resolve) => (wake = resolve))
        else break
        throwIfAborted(signal)
      }
      if (end.error === undefined) return
      throwIfAborted(signal)
      throw thrownBy(call, end.error)
    } finally {
      subscription.unsubscribe()
    }
  }
