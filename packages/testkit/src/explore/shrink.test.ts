import { describe, expect, test } from "vitest"
import { shrink } from "./shrink.ts"

const CLIENTS = 3

/** Completes a proposal as the runner does: every client makes four steps. */
const completed = (proposal: ReadonlyArray<number>): ReadonlyArray<number> => {
  const missing = [0, 1, 2].flatMap((client) =>
    Array<number>(4 - proposal.filter((actor) => actor === client).length).fill(client)
  )
  return [...proposal, ...missing]
}

describe("shrink", () => {
  const isLostUpdate = (actors: ReadonlyArray<number>) =>
    actors.indexOf(0) < actors.indexOf(1) && actors.lastIndexOf(1) < actors.lastIndexOf(0)

  const options = (actors: ReadonlyArray<number>, fails: (actors: ReadonlyArray<number>) => boolean) => ({
    actors,
    clients: CLIENTS,
    maxRuns: 500,
    stillFails: async (proposal: ReadonlyArray<number>) => {
      const happened = completed(proposal)
      return fails(happened) ? happened : undefined
    }
  })

  test("leaves the fewest switches that still fail", async () => {
    const { actors } = await shrink(options([2, 0, 1, 2, 0, 1, 2, 1, 0, 2, 1, 0], isLostUpdate))
    expect(isLostUpdate(actors)).toBe(true)
    const changes = actors.filter((actor, index) => index > 0 && actor !== actors[index - 1]).length
    expect(changes).toBe(3)
  })

  test("drops irrelevant actors and keeps the relevant one", async () => {
    const fails = (actors: ReadonlyArray<number>) => actors.includes(4) && isLostUpdate(actors)
    const { actors } = await shrink(options([3, 0, 4, 1, 1, 1, 1, 5, 0, 0, 0, 2, 2, 2, 2], fails))
    expect(actors.filter((actor) => actor >= CLIENTS)).toEqual([4])
  })

  test("stops at its maximum number of runs", async () => {
    let runs = 0
    const never = async () => {
      runs++
      return undefined
    }
    const result = await shrink({
      actors: [0, 1, 2, 0, 1, 2],
      clients: CLIENTS,
      maxRuns: 3,
      stillFails: never
    })
    expect(runs).toBe(3)
    expect(result.actors).toEqual([0, 1, 2, 0, 1, 2])
  })
})
