import { describe, expect, test } from "vitest"
import { decodeSchedule, encodePct, encodeRandomWalk, encodeSteps } from "../schedule-code.ts"
import { depthFirst } from "./depth-first.ts"
import { pct } from "./seeded.ts"
import { proposals, type ProposalOptions } from "./proposals.ts"
import { scripted } from "./scripted.ts"
import type { Chooser, Divergence } from "./strategy.ts"

/** Runs clients with the given numbers of steps as the chooser decides. */
const play = (
  lengths: ReadonlyArray<number>,
  choose: Chooser,
  label = (actor: number) => `step of ${actor}`
) => {
  const left = [...lengths]
  const actors: Array<number> = []
  while (left.some((steps) => steps > 0)) {
    const candidates = left.flatMap((steps, actor) => (steps > 0 ? [{ actor, label: label(actor) }] : []))
    const actor = choose({ depth: actors.length, candidates, latest: actors.at(-1) })
    left[actor] = (left[actor] ?? 0) - 1
    actors.push(actor)
  }
  return actors
}

describe("depthFirst", () => {
  const all = (lengths: ReadonlyArray<number>): ReadonlyArray<string> => {
    const strategy = depthFirst()
    const schedules: Array<string> = []
    for (let proposal = strategy.next(); proposal !== undefined; proposal = strategy.next()) {
      const actors = play(lengths, proposal.choose)
      proposal.finished(actors.length)
      schedules.push(actors.join(""))
    }
    return schedules
  }

  test("runs every order once, beginning with uninterrupted ones", () => {
    expect(all([2, 1])).toEqual(["001", "010", "100"])
    const schedules = all([3, 3, 2])
    // 8! / (3! 3! 2!) orders
    expect(schedules).toHaveLength(560)
    expect(new Set(schedules).size).toBe(560)
  })

  test("reports a repeated prefix that offers other candidates", () => {
    const strategy = depthFirst()
    let run = 0
    for (let proposal = strategy.next(); proposal !== undefined && run < 5; proposal = strategy.next()) {
      run++
      const label = (actor: number) => (actor === 1 ? `run ${run}` : "same")
      proposal.finished(play([2, 2], proposal.choose, label).length)
    }
    expect(strategy.divergences()[0]).toEqual({
      depth: 0,
      expected: "0: same | 1: run 1",
      actual: "0: same | 1: run 2"
    })
  })
})

describe("pct", () => {
  const options = { depth: 3, steps: 12, actors: 3 }

  test("repeats itself for a seed and differs between seeds", () => {
    const schedule = (seed: number) => play([4, 4, 4], pct({ ...options, seed })).join("")
    expect(schedule(7)).toBe(schedule(7))
    expect(new Set(Array.from({ length: 50 }, (_, seed) => schedule(seed))).size).toBeGreaterThan(20)
  })

  test("switches between unfinished clients at most depth - 1 times", () => {
    for (let seed = 0; seed < 200; seed++) {
      const actors = play([4, 4, 4], pct({ ...options, seed }))
      const changes = actors.filter((actor, index) => index > 0 && actor !== actors[index - 1]).length
      expect(changes).toBeLessThanOrEqual(2 + 2)
    }
  })

  test("hits a bug of depth 2 with at least the guaranteed probability", () => {
    // The bug: all of client 2 comes between the first and the last step of client 0.
    const isHit = (actors: ReadonlyArray<number>) =>
      actors.indexOf(0) < actors.indexOf(2) && actors.lastIndexOf(2) < actors.lastIndexOf(0)
    const hits = Array.from({ length: 1000 }, (_, seed) =>
      isHit(play([4, 4, 4], pct({ ...options, depth: 2, seed })))
    ).filter(Boolean).length
    expect(hits / 1000).toBeGreaterThan(1 / (3 * 12))
  })
})

describe("codes", () => {
  test("repeat their schedules", () => {
    const lengths = [4, 3, 5]
    const actors = play(lengths, decodeSchedule(encodeRandomWalk(9), 3))
    expect(play(lengths, decodeSchedule("random:9", 3))).toEqual(actors)
    expect(play(lengths, decodeSchedule(encodeSteps(actors), 3))).toEqual(actors)
    const chosen = play(lengths, pct({ seed: 5, depth: 3, steps: 12, actors: 3 }))
    expect(play(lengths, decodeSchedule(encodePct(3, 12, 5), 3))).toEqual(chosen)
  })
})

describe("scripted", () => {
  test("skips clients that are no candidates, and continues with the latest one after its end", () => {
    expect(play([1, 3], scripted({ actors: [0, 0, 0, 1] })).join("")).toBe("0111")
    expect(play([2, 2], scripted({ actors: [1] })).join("")).toBe("1100")
  })

  test("reports where the situation differs", () => {
    const divergences: Array<Divergence> = []
    const script = { actors: [0, 1], situations: ["0: step of 0 | 1: step of 1", "1: something else"] }
    play(
      [1, 1],
      scripted(script, (divergence) => divergences.push(divergence))
    )
    expect(divergences).toEqual([{ depth: 1, expected: "1: something else", actual: "1: step of 1" }])
  })
})

describe("proposals", () => {
  const options: ProposalOptions = {
    strategy: "auto",
    schedules: 10,
    seed: 1,
    pctDepth: 3,
    actors: 2,
    steps: 2
  }

  test("of auto are depth first, then seeded from the second half on", () => {
    const source = proposals(options)
    const codes = Array.from({ length: 10 }, () => {
      const proposal = source.next()
      proposal?.finished(play([4, 4], proposal.choose).length)
      return proposal?.code
    })
    expect(codes.slice(0, 5)).toEqual(Array(5).fill(undefined))
    // The first seeded schedule assumed two steps, the next one knows that there are eight.
    expect(codes.slice(5, 7)).toEqual(["pct:3:2:1", "pct:3:8:2"])
  })

  test("of auto end when depth-first search is exhausted", () => {
    const source = proposals({ ...options, schedules: 100 })
    let count = 0
    for (let proposal = source.next(); proposal !== undefined; proposal = source.next()) {
      proposal.finished(play([1, 1], proposal.choose).length)
      count++
    }
    expect(count).toBe(2)
  })
})
