// The speed of the linearizability checker.
import { seededRandom } from "../../src/internal/random.ts"
import { checkLinearizable } from "../../src/history/linearizability.ts"
import { keyValue } from "../../src/history/models/key-value.ts"
import { mutex } from "../../src/history/models/mutex.ts"
import { textStore, waitingMutex, withStaleRead } from "../../src/history/testing/objects.ts"
import { simulate } from "../../src/history/testing/simulate.ts"
import { figures } from "./figures.ts"

const CLIENTS = 50
const OPERATIONS = 10_000

/** Checks a legal history of 10,000 operations by 50 clients of a mutex, once per round. */
export function checkerFigures(rounds: number) {
  const history = simulate(waitingMutex, { clients: CLIENTS, operations: OPERATIONS }, seededRandom(7))
  const measured = Array.from({ length: rounds }, () => {
    const began = performance.now()
    const { verdict } = checkLinearizable(history, mutex())
    if (verdict !== "ok") throw new Error(`the checker says ${verdict}`)
    return performance.now() - began
  })
  return { operations: history.length, clients: CLIENTS, ...figures(measured) }
}

/** Finds a stale read among 3,000 operations by 50 clients of a key-value store with 10 keys, in another history per round. */
export function staleReadFigures(rounds: number) {
  const size = { clients: CLIENTS, operations: 3_000 }
  const measured = Array.from({ length: rounds }, (_, round) => {
    const history = withStaleRead(simulate(textStore(10), size, seededRandom(round)))
    const began = performance.now()
    const { verdict } = checkLinearizable(history, keyValue())
    if (verdict !== "illegal") throw new Error(`the checker says ${verdict}`)
    return performance.now() - began
  })
  return { ...size, ...figures(measured) }
}
