import { Effect, Scope, Semaphore } from "effect"
import { KeyNamespace } from "../db/key-namespace.ts"
import { RedisStore } from "@holdfast/locks"
import { makeSubscription, type Subscription } from "@holdfast/locks"

/** Who is told of changes. */
export interface ChangeListener {
  readonly onChanged: (kind: string, keys: ReadonlyArray<string>) => void
  /** Some changes may have passed unheard. */
  readonly onHearingAgain: () => void
}

/** How the processes of one installation tell each other what has changed. */
export interface Changes {
  /**
   * Tells every process, this one too. Called after the commit. It keeps nobody waiting and never fails: whoever does
   * not hear of it finds out by looking.
   */
  readonly announce: (kind: string, keys: ReadonlyArray<string>) => Effect.Effect<void>
  /** Begins to listen, if this process does not yet. */
  readonly listening: Effect.Effect<void>
}

/** Announcements over one channel of Redis; a process that listens does so over one connection. */
export const makeChanges = (
  listener: ChangeListener
): Effect.Effect<Changes, never, RedisStore | KeyNamespace | Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const { client } = yield* RedisStore
    const { prefix } = yield* KeyNamespace
    const channel = Effect.map(prefix, (at) => `${at}changes`)
    const onMessage = (message: string) => {
      const change = changeOf(message)
      if (change !== undefined) listener.onChanged(change.kind, change.keys)
    }

    const one = yield* Semaphore.make(1)
    let subscription: Subscription | undefined
    const subscribed = Effect.gen(function* () {
      const { onHearingAgain } = listener
      subscription ??= yield* makeSubscription(client, yield* channel, { onHearingAgain, onMessage })
      return subscription
    }).pipe(one.withPermits(1), Effect.provideService(Scope.Scope, scope))

    return {
      announce: (kind, keys) =>
        channel.pipe(
          Effect.map((name) => void client.publish(name, JSON.stringify({ kind, keys })).catch(() => {})),
          Effect.ignore
        ),
      // Without the database there is no name to listen under, and nothing to see either.
      listening: subscribed.pipe(
        Effect.flatMap(({ listening }) => listening),
        Effect.ignore
      )
    }
  })

interface Change {
  readonly kind: string
  readonly keys: ReadonlyArray<string>
}

/** What somebody else has said on the channel counts as nothing. */
const changeOf = (message: string): Change | undefined => {
  try {
    const { keys, kind } = JSON.parse(message) as Partial<Change>
    return typeof kind === "string" && Array.isArray(keys) ? { kind, keys } : undefined
  } catch {
    return undefined
  }
}
