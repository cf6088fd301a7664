// The speed of the linearizability checker.
import { seededRandom } from "../../src/internal/random.ts"
import { checkLinearizable } from "../../src/history/linearizability.ts"
import { mutex } from "../../src/history/models/mutex.ts"
import { waitingMutex } from "../../src/history/testing/objects.ts"
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
