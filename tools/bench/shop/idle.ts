import { setTimeout as sleep } from "node:timers/promises"
import { processorTimeUs } from "../processes.ts"
import { openCounters } from "./counters.ts"
import { rounded } from "./load.ts"
import type { Stage } from "./stage.ts"
import { openCampaign } from "./turns.ts"

const LONGEST_SECONDS = 20
const SETTLED_AFTER_SECONDS = 2
const CAMPAIGNS = 100

/** What a Holdfast process does while nobody calls it. */
export const idle = async ({ holdfast, onProgress, seconds, services }: Stage) => {
  const watchedSeconds = Math.min(LONGEST_SECONDS, seconds * 5)
  await using counters = await openCounters(services)
  await sleep(Math.min(SETTLED_AFTER_SECONDS, seconds) * 1_000)
  await counters.sinceLast()
  const pids = [holdfast.serverPid() ?? Number.NaN]
  const beforeUs = processorTimeUs(pids)
  await sleep(watchedSeconds * 1_000)
  const { commands, statements } = await counters.sinceLast()
  const corePercent = (processorTimeUs(pids) - beforeUs) / watchedSeconds / 10_000
  const figures = {
    corePercent: rounded(corePercent),
    sqlPerSecond: rounded(statements / watchedSeconds),
    redisPerSecond: rounded(commands / watchedSeconds)
  }
  onProgress(
    `idle: ${figures.corePercent} % of a core, ${figures.sqlPerSecond} statements and ${figures.redisPerSecond} commands a second`
  )
  return figures
}

/** The same with many open campaigns. */
export const idleWithCampaigns = async (stage: Stage) => {
  for (let n = 0; n < CAMPAIGNS; n += 1) await openCampaign(stage.holdfast, 1_000)
  return idle(stage)
}
