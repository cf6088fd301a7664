import { Stream } from "effect"

/** One answer of a subscription, under the id by which a client that was cut off says what it has seen. */
export interface SubscriptionEvent<A> {
  readonly id: string
  readonly data: A
}

/**
 * Gives answers their ids, and leaves out what the subscriber has seen already: over however many connections, each
 * answer is told once.
 * @param idOf tells an answer from the one before and the one after
 * @param lastEventId the id at which an earlier connection ended
 */
export const asEvents =
  <A>(idOf: (answer: A) => string, lastEventId: string | undefined) =>
  <E, R>(answers: Stream.Stream<A, E, R>): Stream.Stream<SubscriptionEvent<A>, E, R> =>
    answers.pipe(
      Stream.mapAccum(
        () => lastEventId,
        (seen, data) => {
          const id = idOf(data)
          return [id, id === seen ? [] : [{ id, data }]] as const
        }
      )
    )
