import { randomUUID } from "node:crypto"
import { hostname } from "node:os"
import { Effect, type Scope } from "effect"
import { type RedisClient, subscriberOf } from "../../redis/connect.ts"

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

const LISTENING_WITHIN_MS = 1_000

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
  Effect.acquireRelease(
    Effect.sync(() => {
      const channel = makeChannel()
      const waiters = new Map<string, WaiterState>()
      const subscription = makeSubscription(client, channel, {
        onMessage: (message) => deliver(message, channel, waiters, onUnclaimed),
        // Messages may have been lost with the connection: everybody looks for themselves.
        onHearingAgain: () => {
          for (const waiter of waiters.values()) waiter.wake?.()
        }
      })
      return {
        waiter: waiterMaker(channel, waiters),
        listening: subscription.listening,
        close: subscription.close
      }
    }),
    ({ close }) => Effect.sync(close)
  )

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

interface Listener {
  readonly onMessage: (message: string) => void
  /** The connection was lost and is back, so messages may be missing. */
  readonly onHearingAgain: () => void
}

/** Opens the connection on first use, and keeps the subscription through every reconnect. */
const makeSubscription = (client: RedisClient, channel: string, listener: Listener) => {
  let subscriber: RedisClient | undefined
  let isListening = false
  let hasMissed = false
  let heard: Promise<void> | undefined

  const open = (): Promise<void> => {
    const opened = subscriberOf(client)
    subscriber = opened
    opened.on("message", (from: string, message: string) => {
      if (from === channel) listener.onMessage(message)
    })
    opened.on("close", () => void (hasMissed = isListening))
    opened.on("ready", catchUp)
    if (opened !== client) client.on("ready", catchUp)
    return subscribe(opened)
  }
  /**
   * ioredis subscribes again by itself; only what was published meanwhile is gone. Who looks before the subscription
   * stands may miss the next message as well, so it is confirmed first; and looking takes the other connection.
   */
  const catchUp = () => {
    if (!hasMissed || subscriber?.status !== "ready" || client.status !== "ready") return
    hasMissed = false
    subscriber.subscribe(channel).then(listener.onHearingAgain, () => void (hasMissed = true))
  }
  const subscribe = (opened: RedisClient): Promise<void> =>
    opened.subscribe(channel).then(
      () => void (isListening = true),
      () => {
        heard = undefined
      }
    )
  const close = () => {
    if (subscriber === undefined) return
    client.off("ready", catchUp)
    if (subscriber === client) void client.unsubscribe(channel).catch(() => {})
    else subscriber.disconnect()
  }
  const listening = Effect.suspend(() => {
    // Without Redis there is nothing to wait for: the first command will say so.
    if (isListening || client.status !== "ready") return Effect.void
    heard ??= subscriber === undefined ? open() : subscribe(subscriber)
    const hearing = heard
    return Effect.promise(() => hearing).pipe(Effect.timeoutOption(LISTENING_WITHIN_MS), Effect.asVoid)
  })
  return { listening, close }
}
