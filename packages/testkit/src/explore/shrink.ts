import { actorOf } from "./choice.ts"

/** A failing schedule, and how to try a simpler one. */
interface ShrinkOptions {
  /** The client or actor of each step. */
  readonly actors: ReadonlyArray<number>
  /** The number of clients; higher numbers are actors. */
  readonly clients: number
  /** Runs a proposal and returns what actually happened if it still fails. */
  readonly stillFails: (actors: ReadonlyArray<number>) => Promise<ReadonlyArray<number> | undefined>
  /** Maximum number of proposals. */
  readonly maxRuns: number
}

/**
 * Makes a failing schedule easier to read: fewer actors, fewer switches between clients, fewer steps. Repeats all
 * simplifications until none helps or the runs are used up.
 */
export const shrink = async ({ actors, clients, stillFails, maxRuns }: ShrinkOptions) => {
  let best = actors
  let runs = 0
  const tried = new Set([best.join()])

  const improveOnce = async (): Promise<boolean> => {
    for (const proposal of simplifications(best, clients)) {
      if (tried.has(proposal.join())) continue
      if (runs >= maxRuns) return false
      runs++
      tried.add(proposal.join())
      const happened = await stillFails(proposal)
      if (happened !== undefined && isSimpler(happened, best, clients)) {
        best = happened
        return true
      }
    }
    return false
  }

  while (await improveOnce());
  return { actors: best, runs }
}

const isSimpler = (a: ReadonlyArray<number>, b: ReadonlyArray<number>, clients: number): boolean => {
  const [costOfA, costOfB] = [cost(a, clients), cost(b, clients)]
  const differs = costOfA.findIndex((part, index) => part !== costOfB[index])
  return differs !== -1 && (costOfA[differs] ?? 0) < (costOfB[differs] ?? 0)
}

const cost = (actors: ReadonlyArray<number>, clients: number): ReadonlyArray<number> => [
  actors.filter((actor) => actorOf(actor) >= clients).length,
  blocksOf(actors).length,
  actors.length
]

/** The proposals, in the order in which they are tried. The runner fills in omitted steps. */
function* simplifications(actors: ReadonlyArray<number>, clients: number): Generator<ReadonlyArray<number>> {
  for (const [index, actor] of actors.entries()) {
    if (actorOf(actor) >= clients) yield actors.toSpliced(index, 1)
  }
  const blocks = blocksOf(actors)
  for (let length = 0; length < blocks.length; length++) yield blocks.slice(0, length).flat()
  for (const [index, block] of blocks.entries()) {
    const rest = blocks.toSpliced(index, 1)
    for (const target of rest.keys()) {
      const isNeighbour = rest[target]?.[0] === block[0]
      if (isNeighbour) yield rest.toSpliced(target, 0, block).flat()
    }
  }
}

/** Consecutive steps of the same client or actor. */
const blocksOf = (actors: ReadonlyArray<number>): ReadonlyArray<ReadonlyArray<number>> => {
  const blocks: Array<Array<number>> = []
  for (const actor of actors) {
    const last = blocks.at(-1)
    if (last?.[0] === actor) last.push(actor)
    else blocks.push([actor])
  }
  return blocks
}
