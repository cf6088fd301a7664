/**
 * The speed of the checker and the explorer, and how reliably the explorer finds planted bugs.
 *
 *   npm run bench -- explore [--json]
 */
import { explore, replay, type ExploreOptions } from "../../src/explore/explore.ts"
import { PlantedWorld } from "../../src/explore/testing/planted-world.ts"
import { plantedBugs } from "../../src/explore/testing/planted/all.ts"
import { rowsOf, type PlantedBug } from "../../src/explore/testing/planted/planted.ts"
import { checkerFigures } from "../testkit/checker.ts"
import { median } from "../testkit/figures.ts"

const ROUNDS = 5

/** Three clients that read and decrement a counter: two steps each. */
const redisCounter: PlantedBug = {
  name: "counter",
  clients: 3,
  uses: ["redis"],
  setup: ({ redis }) => redis.set("counter", 5),
  buggy: async ({ redis }) => String(await redis.decr("counter")),
  fixed: async ({ redis }) => {
    await redis.get("counter")
    return String(await redis.decr("counter"))
  },
  check: async ({ redis }) => ((await redis.get("counter")) === "2" ? undefined : "Lost.")
}

/** Three clients, each a transaction with a locking read, an update and a commit: they wait for each other's locks. */
const sqlTransaction: PlantedBug = {
  name: "transaction",
  clients: 3,
  uses: ["sql"],
  schema: ["CREATE TABLE counted (id INT PRIMARY KEY, stock INT) ENGINE=InnoDB"],
  setup: ({ sql }) => sql.query("REPLACE INTO counted VALUES (1, 5)"),
  buggy: async () => "",
  fixed: async ({ sql }) => {
    await sql.query("BEGIN")
    await sql.query("SELECT stock FROM counted WHERE id = 1 FOR UPDATE")
    await sql.query("UPDATE counted SET stock = stock - 1 WHERE id = 1")
    await sql.query("COMMIT")
    return "done"
  },
  check: async ({ sql }) =>
    (await rowsOf(sql, "UPDATE counted SET stock = 0 WHERE id = 1 AND stock = 2")) === 1 ? undefined : "Lost."
}

const throughput = async (world: PlantedWorld, workload: PlantedBug, schedules: number) => {
  const rates: Array<number> = []
  for (let round = 0; round < ROUNDS; round++) {
    const options: ExploreOptions = { strategy: "random", schedules, seed: 1 + round * schedules }
    const exploration = await explore(await world.scenario(workload, "fixed"), options)
    if (exploration.failure !== undefined) throw new Error(exploration.failure.message)
    rates.push((exploration.schedules / exploration.elapsedMs) * 1000)
  }
  return { clients: workload.clients, schedules, medianPerSecond: median(rates) }
}

/** Finds every planted bug and repeats it 100 times. */
const plantedFigures = async (world: PlantedWorld) => {
  const figures: Record<string, unknown> = {}
  for (const plant of plantedBugs) {
    const scenario = await world.scenario(plant(), "buggy")
    const { failure } = await explore(scenario, { schedules: 2_000, replays: 0 })
    if (failure === undefined) {
      figures[plant().name] = { found: false }
      continue
    }
    const replayed = await replay(scenario, failure.code, { times: 100 })
    const same = replayed.filter(({ violation }) => violation === failure.message).length
    figures[plant().name] = {
      found: true,
      foundAfter: failure.foundAfter,
      code: failure.code,
      replays: `${same} of 100`
    }
  }
  return figures
}

/** The figures of the testkit's checker and explorer. */
export const run = async () => {
  const world = await PlantedWorld.start()
  try {
    const { sql, redis } = world.services
    return {
      servers: [sql, redis].map(({ flavour, version }) => `${flavour} ${version}`),
      checker: checkerFigures(ROUNDS),
      explorer: {
        redis: await throughput(world, redisCounter, 2_000),
        sql: await throughput(world, sqlTransaction, 200)
      },
      planted: await plantedFigures(world)
    }
  } finally {
    await world.stop()
  }
}
