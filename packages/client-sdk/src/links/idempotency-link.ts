import { randomId } from "../random-id.ts"
import { entered, type HoldfastLink, procedureAt } from "./call.ts"

/**
 * Gives every mutation an idempotency key, which all of its retries send. It stands above whatever repeats requests. A
 * call's own key is `context.idempotencyKey`.
 */
export const idempotencyLink = (): HoldfastLink => () => (options) => {
  const { call, op } = entered(options.op)
  const kind = procedureAt(op.path)?.kind ?? op.type
  if (kind === "mutation") call.key ??= randomId()
  return options.next(op)
}
