import { observable } from "@trpc/server/observable"
import type { TokenSource } from "../auth/token-source.ts"
import { ownCopy } from "../errors.ts"
import { entered, type HoldfastLink, procedureAt } from "./call.ts"
import { abortOf, type ClientError, clientErrorOf, failureOf, isFailure } from "./failure.ts"

interface Sending {
  readonly unsubscribe: () => void
}

/**
 * Gives every call that needs one its access token. A rejected token is renewed once per call, and once for all calls
 * that were rejected together. It stands below `retryLink`, whose deadline covers the wait for a token.
 */
export const authLink =
  (tokens: TokenSource): HoldfastLink =>
  () =>
  (options) => {
    const { call, op } = entered(options.op)
    if (procedureAt(op.path)?.access === "public") return options.next(op)
    return observable((observer) => {
      let sending: Sending | undefined
      let hasLeft = false
      const fail = (cause: unknown): void =>
        observer.error(isFailure(cause) ? clientErrorOf(call, ownCopy(cause)) : abortOf(cause))
      const wait = (token: Promise<string | undefined>, proceed: (token: string | undefined) => void) => {
        call.isWaiting = true
        token.then((fresh) => {
          call.isWaiting = false
          if (!hasLeft) proceed(fresh)
        }, fail)
      }
      const send = (token: string | undefined): void => {
        call.token = token
        sending = options.next(op).subscribe({
          next: (envelope) => observer.next(envelope),
          complete: () => observer.complete(),
          error: (error) => {
            const isRejected = failureOf(op.path, error as ClientError)?._tag === "Unauthenticated"
            if (!isRejected || call.isRenewed || hasLeft) return observer.error(error)
            call.isRenewed = true
            wait(tokens.renew(call.sentToken), (fresh) =>
              fresh === undefined ? observer.error(error) : send(fresh)
            )
          }
        })
      }
      // The requests of one call keep their token, so that a function of the application is asked once.
      const known = call.token ?? tokens.known()
      if (known === undefined) wait(tokens.current(), send)
      else send(known)
      return () => {
        hasLeft = true
        sending?.unsubscribe()
      }
    })
  }
