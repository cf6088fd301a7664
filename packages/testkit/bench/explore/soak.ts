/** `npm run soak -- explore`: runs every corrected scenario under a large number of schedules. */
import { explore, type Exploration } from "../../src/explore/explore.ts"
import { PlantedWorld } from "../../src/explore/testing/planted-world.ts"
import { plantedBugs } from "../../src/explore/testing/planted/all.ts"
import type { PlantedBug } from "../../src/explore/testing/planted/planted.ts"

export interface ExploreSoakOptions {
  /** Schedules of each scenario. Default 10,000. */
  readonly rounds?: number
  /** Seed of the first seeded schedule. Default 1. */
  readonly seed?: number
  readonly onProgress?: (line: string) => void
}

/** Returns a summary. Throws when a corrected scenario failed, or a repeated schedule led to another situation. */
export const run = async ({ rounds = 10_000, seed = 1, onProgress = () => {} }: ExploreSoakOptions) => {
  const startedAtMs = performance.now()
  const world = await PlantedWorld.start()
  try {
    const { sql, redis } = world.services
    const scenarios: Record<string, ReadonlyArray<Summary>> = {}
    for (const plant of plantedBugs)
      scenarios[plant().name] = await exploreAll(world, plant, { rounds, seed, onProgress })
    const all = Object.values(scenarios).flat()
    const off = all.filter(({ falseAlarm, nondeterminism }) => falseAlarm !== null || nondeterminism !== null)
    if (off.length > 0) throw new Error(`unexpected results: ${JSON.stringify(off)}`)
    return {
      servers: [sql, redis].map(({ flavour, version }) => `${flavour} ${version}`),
      seed,
      schedules: all.reduce((sum, { schedules }) => sum + schedules, 0),
      falseAlarms: 0,
      seconds: Math.round((performance.now() - startedAtMs) / 1000),
      scenarios
    }
  } finally {
    await world.stop()
  }
}

/** One third depth first, one third PCT, the rest random; more of those when depth-first search is exhausted early. */
const exploreAll = async (
  world: PlantedWorld,
  plant: () => PlantedBug,
  { rounds, seed, onProgress }: Required<ExploreSoakOptions>
): Promise<ReadonlyArray<Summary>> => {
  const found: Array<Summary> = []
  let left = rounds
  for (const strategy of ["dfs", "pct", "random"] as const) {
    const scenario = await world.scenario(plant(), "fixed")
    const schedules = strategy === "random" ? left : Math.floor(rounds / 3)
    const summary = summaryOf(await explore(scenario, { strategy, schedules, seed }))
    left -= summary.schedules
    found.push(summary)
    onProgress(`${scenario.name}: ${JSON.stringify(summary)}`)
  }
  return found
}

type Summary = ReturnType<typeof summaryOf>

const summaryOf = (exploration: Exploration) => {
  const { strategy, schedules, truncated, elapsedMs, failure, nondeterminism } = exploration
  return {
    strategy,
    schedules,
    truncated,
    perSecond: Math.round((schedules / elapsedMs) * 1000),
    falseAlarm: failure?.message ?? null,
    code: failure?.code ?? null,
    nondeterminism: nondeterminism ?? null
  }
}
