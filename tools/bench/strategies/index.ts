/** `npm run bench -- strategies`: ways to keep concurrent sales of one product exact, in turns, on the same stores. */
import { type Services, startServices } from "@holdfast/testkit"
import { Redis } from "ioredis"
import type { Reporting } from "../../src/progress.ts"
import { rotated } from "../shop/comparison.ts"
import { type Contestant, figuresOf, SCARCE, type StrategyFigures, takeRound } from "./contest.ts"
import { Goods } from "./goods.ts"
import { openOrders } from "./orders.ts"
import { strategies } from "./strategies.ts"

export interface StrategiesOptions {
  readonly rounds: number
  /** How long one strategy sells in a round. */
  readonly seconds: number
  readonly callers: number
}

/** The name of each strategy, and of the product itself. */
export type StrategyName = keyof typeof strategies | "orders"

export interface StrategiesResult {
  readonly callers: number
  /** Units that all callers want at once. */
  readonly scarce: number
  readonly strategies: Readonly<Record<StrategyName, StrategyFigures>>
}

const names = [...Object.keys(strategies), "orders"] as ReadonlyArray<StrategyName>
const WARM_UP = 0.2

/** Every strategy in every round, in another order each time. */
export const run = async ({
  callers,
  onProgress,
  rounds,
  seconds
}: StrategiesOptions & Reporting): Promise<StrategiesResult> => {
  await using services = await startServices({ onProgress })
  const contestants: Array<readonly [StrategyName, Contestant]> = []
  try {
    for (const name of names) contestants.push([name, await open(services, name, callers)])
    for (const [, contestant] of contestants) await takeRound(contestant, callers, seconds * WARM_UP)
    const taken = new Map(names.map((name) => [name, [] as Array<Awaited<ReturnType<typeof takeRound>>>]))
    for (let round = 0; round < rounds; round += 1)
      for (const [name, contestant] of rotated(contestants, round)) {
        const figures = await takeRound(contestant, callers, seconds)
        onProgress(
          `${name}, round ${round + 1}: ${Math.round(figures.perSecond)}/s, ${figures.winners} of ${SCARCE} won`
        )
        taken.get(name)!.push(figures)
      }
    const found: Partial<Record<StrategyName, StrategyFigures>> = {}
    for (const [name, contestant] of contestants)
      found[name] = figuresOf(taken.get(name)!, (await contestant.faults?.()) ?? [])
    return { callers, scarce: SCARCE, strategies: found as Record<StrategyName, StrategyFigures> }
  } finally {
    for (const [, contestant] of contestants) await contestant.close()
  }
}

const open = async (services: Services, name: StrategyName, callers: number): Promise<Contestant> => {
  if (name === "orders") return openOrders(services, callers)
  const database = `strategy_${name}_${process.pid}`
  await services.sql.createDatabase(database)
  const goods = await Goods.open(services.sql.url(database))
  const redis = new Redis(services.redis.url())
  const strategy = await strategies[name]({ goods, redis })
  return {
    restock: (units) => goods.restock(units),
    take: strategy.take,
    books: () => goods.books(),
    close: async () => {
      if ("close" in strategy) await strategy.close?.()
      redis.disconnect()
      await goods[Symbol.asyncDispose]()
      await services.sql.dropDatabase(database)
    }
  }
}
