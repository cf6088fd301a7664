import { Effect, type Scope } from "effect"
import { type RedisClient, subscriberOf } from "./client.ts"

/** What a process does with what it hears. */
export interface ChannelListener {
  readonly onMessage: (message: string) => void
  /** The connection was lost and is back, so messages may be missing. */
  readonly onHearingAgain: () => void
}

/** One channel that a process listens to. */
export interface Subscription {
  /**
   * Opens the connection when it is first asked for; waits until messages are heard, but not for long. Redis away: it
   * goes on without, and listens as soon as Redis is back.
   */
  readonly listening: Effect.Effect<void>
}

const LISTENING_WITHIN_MS = 1_000

/** Listens over a connection of its own, through every reconnect, until the scope is closed. */
export const makeSubscription = (
  client: RedisClient,
  channel: string,
  listener: ChannelListener
): Effect.Effect<Subscription, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => subscribeLazily(client, channel, listener)),
    ({ close }) => Effect.sync(close)
  )

const subscribeLazily = (client: RedisClient, channel: string, listener: ChannelListener) => {
  let subscriber: RedisClient | undefined
  let isListening = false
  let hasMissed = false
  let hearing: Promise<void> | undefined

  const open = (): RedisClient => {
    const opened = subscriberOf(client)
    opened.on("message", (from: string, message: string) => {
      if (from === channel) listener.onMessage(message)
    })
    opened.on("close", () => void (hasMissed = isListening))
    opened.on("ready", catchUp)
    if (opened !== client) client.on("ready", catchUp)
    return opened
  }
  /**
   * ioredis subscribes again by itself; only what was published meanwhile is gone. Who looks before the subscription
   * stands may miss the next message as well, so it is confirmed first; and looking may take the other connection.
   */
  const catchUp = () => {
    if (!hasMissed || subscriber?.status !== "ready" || client.status !== "ready") return
    hasMissed = false
    subscriber.subscribe(channel).then(listener.onHearingAgain, () => void (hasMissed = true))
  }
  const subscribe = (): Promise<void> => {
    subscriber ??= open()
    return subscriber.subscribe(channel).then(
      () => void (isListening = true),
      () => void (hearing = undefined)
    )
  }

  return {
    listening: Effect.suspend(() => {
      if (isListening) return Effect.void
      const heard = (hearing ??= subscribe())
      // Without Redis there is nothing to wait for: the first command will say so.
      if (client.status !== "ready") return Effect.void
      return Effect.promise(() => heard).pipe(Effect.timeoutOption(LISTENING_WITHIN_MS), Effect.asVoid)
    }),
    close: () => {
      if (subscriber === undefined) return
      client.off("ready", catchUp)
      if (subscriber === client) void client.unsubscribe(channel).catch(() => {})
      else subscriber.disconnect()
    }
  }
}
