import { makeSubscription, RedisStore, type Subscription } from "@holdfast/locks"
import { Effect, Scope, Semaphore } from "effect"
import { KeyNamespace } from "../db/key-namespace.ts"

export interface NotificationListener {
  readonly onNotification: (kind: string, keys: ReadonlyArray<string>) => void
  /** Notifications may have been lost. */
  readonly onReconnect: () => void
}

/** Messages between the processes of one database about keys that have changed. */
export interface Notifications {
  /** Notifies every process, this one included. Never fails and waits for nothing: a lost message only delays an update. */
  readonly notify: (kind: string, keys: ReadonlyArray<string>) => Effect.Effect<void>
  /** Subscribes this process to the notifications, on first use. */
  readonly listening: Effect.Effect<void>
}

/** Notifications over one Redis channel, to which a listening process subscribes with one connection. */
export const makeNotifications = (
  listener: NotificationListener
): Effect.Effect<Notifications, never, RedisStore | KeyNamespace | Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const { client, isUp } = yield* RedisStore
    const { prefix } = yield* KeyNamespace
    const channel = Effect.map(prefix, (at) => `${at}changes`)
    const onMessage = (message: string) => {
      const notification = decode(message)
      if (notification !== undefined) listener.onNotification(notification.kind, notification.keys)
    }

    const mutex = yield* Semaphore.make(1)
    let subscription: Subscription | undefined
    const subscribed = Effect.gen(function* () {
      const onHearingAgain = listener.onReconnect
      subscription ??= yield* makeSubscription(client, yield* channel, { onHearingAgain, onMessage })
      return subscription
    }).pipe(mutex.withPermits(1), Effect.provideService(Scope.Scope, scope))

    return {
      notify: (kind, keys) =>
        channel.pipe(
          Effect.map((name) => {
            if (isUp()) client.publish(name, JSON.stringify({ kind, keys })).catch(() => {})
          }),
          Effect.ignore
        ),
      // The channel's name comes from the database; while that is unavailable there is nothing to watch either.
      // While Redis is away nobody waits until messages arrive.
      listening: subscribed.pipe(
        Effect.flatMap(({ listening }) =>
          isUp() ? listening : Effect.asVoid(Effect.forkIn(listening, scope))
        ),
        Effect.ignore
      )
    }
  })

interface Notification {
  readonly kind: string
  readonly keys: ReadonlyArray<string>
}

/** `undefined` for a message that is no notification. */
const decode = (message: string): Notification | undefined => {
  try {
    const { keys, kind } = JSON.parse(message) as Partial<Notification>
    return typeof kind === "string" && Array.isArray(keys) ? { kind, keys } : undefined
  } catch {
    return undefined
  }
}
