import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { explore, replay } from "./explore.ts"
import { PlantedWorld } from "./testing/planted-world.ts"
import { plantedBugs } from "./testing/planted/all.ts"
import { lostUpdate } from "./testing/planted/lost-update.ts"
import { staleSnapshot } from "./testing/planted/stale-snapshot.ts"

let world: PlantedWorld
beforeAll(async () => {
  world = await PlantedWorld.start()
})
afterAll(() => world.stop())

describe.each(plantedBugs.map((plant) => ({ name: plant().name, plant })))("$name", ({ plant }) => {
  test("is found, and its schedule fails every time", async () => {
    const { failure, nondeterminism } = await explore(await world.scenario(plant(), "buggy"), {
      schedules: 600
    })
    expect(failure?.message).toMatch(/\w/)
    expect(failure?.replays).toEqual({ same: 5, of: 5 })
    expect(nondeterminism).toBeUndefined()
  })

  test("is not found in its correction", async () => {
    const exploration = await explore(await world.scenario(plant(), "fixed"), {
      schedules: 60,
      repeatEvery: 10
    })
    expect(exploration.failure).toBeUndefined()
    expect(exploration.nondeterminism).toBeUndefined()
    expect(exploration.truncated).toBe(0)
  })
})

describe("a failing seed", () => {
  test.each([
    ["Redis", lostUpdate, "pct"],
    ["SQL", staleSnapshot, "random"]
  ] as const)("replays 100 of 100 on %s", async (_server, plant, strategy) => {
    const scenario = await world.scenario(plant(), "buggy")
    const { failure } = await explore(scenario, { strategy, schedules: 300, replays: 0 })
    expect(failure?.foundAs).toMatch(/^(?:pct:\d+:\d+|random):\d+$/)
    for (const code of [failure?.foundAs ?? "", failure?.code ?? ""]) {
      const replayed = await replay(scenario, code, { times: 100 })
      const [first] = replayed
      expect(first?.violation).toBeDefined()
      const same = replayed.filter(({ violation, steps }) => {
        const order = steps.map(({ actor, label }) => `${actor} ${label}`)
        const orderOfFirst = first?.steps.map(({ actor, label }) => `${actor} ${label}`)
        return violation === first?.violation && order.join() === orderOfFirst?.join()
      })
      expect(same).toHaveLength(100)
    }
  })
})
