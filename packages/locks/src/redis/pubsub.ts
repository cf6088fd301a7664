import { Effect, type Scope } from "effect"
import { type RedisClient, silentAfterMs, subscriberOf } from "./client.ts"
import { isCluster } from "./is-cluster.ts"
import { watchClusterSubscriber } from "./cluster-subscriber.ts"

/** What a process does with the messages of a channel. */
export interface ChannelListener {
  readonly onMessage: (message: string) => void
  /** The connection was lost and is back, so messages may be missing. */
  readonly onHearingAgain: () => void
}

/** One channel that a process listens to. */
export interface Subscription {
  /**
   * Connects on first use and waits until messages arrive, one second at most. While Redis is away it succeeds at once
   * and the process listens as soon as Redis is back.
   */
  readonly listening: Effect.Effect<void>
}

const LISTENING_WITHIN_MS = 1_000

/** A subscriber sends nothing by itself, so only a ping tells a silent connection from a quiet channel. */
const PING_EVERY_MS = 1_000

/** Listens to a channel over a separate connection, through every reconnect, until the scope is closed. */
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
  let subscribing: Promise<void> | undefined
  let stopWatching = () => {}

  const open = (): RedisClient => {
    const opened = subscriberOf(client)
    opened.on("message", (from: string, message: string) => {
      if (from === channel) listener.onMessage(message)
    })
    opened.on("close", () => void (hasMissed = isListening))
    opened.on("ready", catchUp)
    if (opened !== client) client.on("ready", catchUp)
    stopWatching = watchFor(opened, () => {
      hasMissed = isListening
      catchUp()
    })
    return opened
  }
  /**
   * ioredis subscribes again by itself, but messages sent meanwhile are gone. The listener looks for what it missed only
   * once the subscription is confirmed and the client it looks with is ready; earlier it could miss the next message.
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
      () => void (subscribing = undefined)
    )
  }

  return {
    listening: Effect.suspend(() => {
      if (isListening) return Effect.void
      const subscribed = (subscribing ??= subscribe())
      // While Redis is away the first command fails at once, so there is nothing to wait for.
      if (client.status !== "ready") return Effect.void
      return Effect.promise(() => subscribed).pipe(Effect.timeoutOption(LISTENING_WITHIN_MS), Effect.asVoid)
    }),
    close: () => {
      if (subscriber === undefined) return
      stopWatching()
      client.off("ready", catchUp)
      if (subscriber === client) void client.unsubscribe(channel).catch(() => {})
      else subscriber.disconnect()
    }
  }
}

/** Replaces the subscriber's connection when it has gone silent. A cluster's client does not say so by itself. */
const watchFor = (subscriber: RedisClient, onReplaced: () => void): (() => void) => {
  if (isCluster(subscriber)) return watchClusterSubscriber(subscriber, silentAfterMs(subscriber), onReplaced)
  // A ping without an answer makes ioredis close the connection, see `socketTimeout`.
  const pinging = setInterval(() => {
    if (subscriber.status === "ready") subscriber.ping().catch(() => {})
  }, PING_EVERY_MS).unref()
  return () => clearInterval(pinging)
}
