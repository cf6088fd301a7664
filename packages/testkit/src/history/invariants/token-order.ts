import type { Violation } from "../model.ts"
import type { ReturnedOperation } from "../operation.ts"

/** A fencing token, and the operation that returned it. */
export interface Grant<Input, Output> {
  readonly token: number
  readonly operation: ReturnedOperation<Input, Output>
}

/** Checks that fencing tokens grow: a grant called after another returned has a larger token, and none repeats. */
export const tokenOrder = <Input, Output>(
  grants: ReadonlyArray<Grant<Input, Output>>
): Violation<Input, Output> | undefined => grantedTwice(grants) ?? wentBack(grants)

const grantedTwice = <Input, Output>(
  grants: ReadonlyArray<Grant<Input, Output>>
): Violation<Input, Output> | undefined => {
  const first = new Map<number, Grant<Input, Output>>()
  for (const grant of grants) {
    const earlier = first.get(grant.token)
    if (earlier !== undefined) {
      const { operation } = grant
      const message = `Token ${grant.token} went to ${earlier.operation.client} and to ${operation.client}.`
      return { invariant: "tokenOrder", message, operations: [earlier.operation, operation] }
    }
    first.set(grant.token, grant)
  }
  return undefined
}

const wentBack = <Input, Output>(
  grants: ReadonlyArray<Grant<Input, Output>>
): Violation<Input, Output> | undefined => {
  const byReturn = grants.toSorted(
    (a, b) => a.operation.outcome.returnedAtNs - b.operation.outcome.returnedAtNs
  )
  const byCall = grants.toSorted((a, b) => a.operation.calledAtNs - b.operation.calledAtNs)
  let largest: Grant<Input, Output> | undefined
  let returned = 0
  for (const { token, operation } of byCall) {
    for (let next = byReturn[returned]; next !== undefined; next = byReturn[++returned]) {
      if (next.operation.outcome.returnedAtNs >= operation.calledAtNs) break
      if (largest === undefined || next.token > largest.token) largest = next
    }
    if (largest !== undefined && token < largest.token) {
      const message = `${operation.client} got token ${token} after ${largest.operation.client} had got ${largest.token}.`
      return { invariant: "tokenOrder", message, operations: [largest.operation, operation] }
    }
  }
  return undefined
}
