import { randomUUID } from "node:crypto"
import { hostname } from "node:os"
import { Effect, type Scope } from "effect"
import type { RedisClient } from "../../redis/client.ts"
import { makeSubscription } from "../../redis/pubsub.ts"
import { CHANNEL_PREFIX } from "./scripts.ts"

/** The message that a lock was handed to a waiter of the process. */
export interface Grant {
  readonly token: number
  /** When the lock was handed over, on the clock of Redis. */
  readonly atRedisMs: number
  readonly leaseMs: number
}

/** A grant whose waiter has left, so the lock has to be passed on. */
export interface UnclaimedGrant extends Grant {
  readonly id: string
  readonly mutex: string
}

/** One caller, from before its first command until it has released the lock or left. */
export interface Waiter {
  /** `<channel>/<number>`: its identifier in the queue, and in the key once it owns the lock. */
  readonly id: string
  /** Gives the grant, or `undefined` when none came within the time or the caller should look for itself. */
  readonly waitFor: (ms: number) => Effect.Effect<Grant | undefined>
  readonly forget: () => void
}

/** The process's one subscription to grants, and its callers. */
export interface Grants {
  readonly waiter: () => Waiter
  /** Waits until grants are heard, but not for long: a caller that hears nothing looks for itself. */
  readonly listening: Effect.Effect<void>
}

interface WaiterState {
  grant: Grant | undefined
  wake: (() => void) | undefined
}

/** Names host and process for people to read; the random part makes it unique. */
const makeChannel = (): string =>
  `${CHANNEL_PREFIX}${hostname().replaceAll("/", "-")}:${process.pid}:${randomUUID().slice(0, 13)}`

/** Whether an owner takes part in the queue. Plain redis-semaphore clients have UUIDs for identifiers. */
export const isQueueIdentifier = (holder: string): boolean => holder.startsWith(CHANNEL_PREFIX)

/**
 * Subscribes when the first caller may have to wait. `onUnclaimed` gets the grants whose waiters left while the message
 * was on its way.
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
      // Grants may have been lost with the connection, so every waiter looks for itself.
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
  const mutex = key.join(" ")
  if (!mutex.startsWith("mutex:")) return
  const grant: Grant = { token: Number(token), atRedisMs: Number(atRedisMs), leaseMs: Number(leaseMs) }
  const waiter = waiters.get(number)
  if (waiter === undefined) return onUnclaimed({ ...grant, id: `${channel}/${number}`, mutex })
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
