import { Schema } from "effect"

/** No delivery with this id waits among the dead letters: unknown, delivered meanwhile, or on its way again. */
export class DeadLetterNotFound extends Schema.TaggedError<DeadLetterNotFound>()("DeadLetterNotFound", {
  deliveryId: Schema.Int
}) {
  static readonly code = "NOT_FOUND"
  readonly retryable = false
  override get message() {
    return `there is no dead letter ${this.deliveryId}`
  }
}
