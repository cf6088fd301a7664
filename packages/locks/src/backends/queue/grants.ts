import { randomUUID } from "node:crypto"
import { hostname } from "node:os"
import { Effect, type Scope } from "effect"
import type { RedisClient } from "../../redis/client.ts"
import { makeSubscription } from "../../redis/pubsub.ts"

/** What a process is told when a lock was handed to one of its waiters. */
export interface Grant {
  readonly token: number
  /** When the lock was handed over, on the clock of Redis. */
  readonly atRedisMs: number
  readonly leaseMs: number
}

/** A grant that came too late: its waiter has left, so the lock is to be passed on. */
export interface UnclaimedGrant extends Grant {
  readonly id: string
  readonly mutex: string
}

/** One caller that may come to wait, from before it asks until it has the lock or has left. */
export interface Waiter {
  /** `<channel>/<number>`: its name in the queue, and in the key once it owns the lock. */
  readonly id: string
  /** Resolves to the grant, or to `undefined` when there was none within the time or it is worth looking again. */
  readonly waitFor: (ms: number) => Effect.Effect<Grant | undefined>
  readonly forget: () => void
}

/** The process's one subscription, and who of its callers is waiting. */
export interface Grants {
  readonly waiter: () => Waiter
  /** Waits until the process can be told of grants, but not for long: without messages, looking again finds them. */
  readonly listening: Effect.Effect<void>
}

interface WaiterState {
  grant: Grant | undefined
  wake: (() => void) | undefined
}

/** The channel names host and process for those who read it; the rest makes it unique. */
const makeChannel = (): string =>
  `holdfast:locks:${hostname().replaceAll("/", "-")}:${process.pid}:${randomUUID().slice(0, 13)}`

/**
 * Subscribes when the first caller may have to wait. `onUnclaimed` gets the grants of those who left while the
 * message was on its way.
 */
export const makeGrants = (
  client: RedisClient,
  onUnclaimed: (grant: UnclaimedGrant) => void
): Effect.Effect<Grants, never, Scope.Scope> =>
  Effect.gen(function* () {
    const channel = makeChannel()
    const waiters = new Map<string, WaiterState>()
    const { listening } = yield* makeSubscription(client, channel, {
      onMessage: (message) => deliver(message, channel, waiters, onUnclaimed),
      // Messages may have been lost with the connection: everybody looks for themselves.
      onHearingAgain: () => {
        for (const waiter of waiters.values()) waiter.wake?.()
      }
    })
    return { waiter: waiterMaker(channel, waiters), listening }
  })

const deliver = (
  message: string,
  channel: string,
  waiters: ReadonlyMap<string, WaiterState>,
  onUnclaimed: (grant: UnclaimedGrant) => void
): void => {
  const [number = "", token, atRedisMs, leaseMs, ...key] = message.split(" ")
  const grant: Grant = { token: Number(token), atRedisMs: Number(atRedisMs), leaseMs: Number(leaseMs) }
  const waiter = waiters.get(number)
  if (waiter === undefined) return onUnclaimed({ ...grant, id: `${channel}/${number}`, mutex: key.join(" ") })
  waiter.grant = grant
  waiter.wake?.()
}

const waiterMaker = (channel: string, waiters: Map<string, WaiterState>) => {
  let count = 0
  return (): Waiter => {
    const number = String((count += 1))
    const state: WaiterState = { grant: undefined, wake: undefined }
    waiters.set(number, state)
    return {
      id: `${channel}/${number}`,
      forget: () => void waiters.delete(number),
      waitFor: (ms) =>
        Effect.callback((resume) => {
          const settle = () => {
            clearTimeout(timer)
            state.wake = undefined
            const { grant } = state
            state.grant = undefined
            resume(Effect.succeed(grant))
          }
          const timer = setTimeout(settle, ms)
          if (state.grant !== undefined) return settle()
          state.wake = settle
          return Effect.sync(() => {
            clearTimeout(timer)
            state.wake = undefined
          })
        })
    }
  }
}
