import { eventually } from "@holdfast/testkit"
import { setTimeout as sleep } from "node:timers/promises"
import { checkBooks, checkExactness, storesAway } from "./checks.ts"
import type { Market } from "./customers.ts"
import { RECOVERY_MS } from "./deadlines.ts"
import type { Disturbances } from "./disturbances.ts"
import { faults } from "./faults.ts"
import type { Findings } from "./findings.ts"
import { callKinds, type Load } from "./load.ts"
import { recoveryMs } from "./recovery.ts"
import type { Phase } from "./report.ts"
import type { PlannedFault } from "./schedule.ts"
import { serverNames, type Stage } from "./stage.ts"

/** What a phase works with. */
export interface Surroundings {
  readonly stage: Stage
  readonly market: Market
  readonly load: Load
  readonly findings: Findings
  readonly disturbances: Disturbances
  readonly note: (line: string) => void
  readonly nowMs: () => number
}

const GIVE_UP_MS = 45_000
const LOOK_EVERY_MS = 250

/** Resolves with the recovery time once the service is whole. Rejects with `EventuallyFailed` when it stays broken. */
export const untilWhole = (load: Load, sinceMs: number, timeoutMs = GIVE_UP_MS): Promise<number> =>
  eventually(
    () => {
      const found = recoveryMs(load.ended, callKinds, sinceMs, performance.now())
      if (found === undefined) throw new Error("no second in which every kind of call succeeded")
      return found
    },
    { timeoutMs, everyMs: LOOK_EVERY_MS }
  )

/** Strikes once and checks everything afterwards. */
export const runPhase = async (
  surroundings: Surroundings,
  { calmMs, fault: name, faultMs }: PlannedFault<string>
): Promise<Phase> => {
  const { disturbances, findings, market, note, nowMs, stage } = surroundings
  const { begin, end, isInstant, target } = faults[name]!
  await market.openSale()
  await sleep(calmMs)
  const atMs = nowMs()
  disturbances.begin(name, target)
  note(`${name}${isInstant === true ? "" : ` for ${(faultMs / 1_000).toFixed(1)} s`}`)
  await begin(stage)
  if (isInstant !== true) await sleep(faultMs)
  await end(stage)
  disturbances.end(target)
  const lastedMs = nowMs() - atMs
  const recovery = await checkRecovery(surroundings)
  await checkExactness(stage, market, findings)
  await checkBooks(stage, findings)
  return { fault: name, atMs: Math.round(atMs), lastedMs: Math.round(lastedMs), recoveryMs: recovery }
}

/** Waits until the service is whole again, and both servers use both stores; restarts them when they do not. */
const checkRecovery = async (surroundings: Surroundings): Promise<number | undefined> => {
  const { findings, load, note, stage } = surroundings
  const endedAtMs = performance.now()
  const recovery = await untilWhole(load, endedAtMs).catch(() => undefined)
  const away = await storesAway(stage, endedAtMs + RECOVERY_MS)
  if (recovery !== undefined) note(`whole again after ${recovery / 1_000} s`)
  if (recovery === undefined || recovery > RECOVERY_MS) {
    const found = recovery === undefined ? `not within ${GIVE_UP_MS} ms` : `after ${recovery} ms`
    findings.add("recovery", `whole again ${found}, must be within ${RECOVERY_MS} ms`)
  }
  for (const store of away)
    findings.add("recovery", `a server still takes the ${store} for away ${RECOVERY_MS} ms after the fault`)
  if (recovery === undefined || away.length > 0) await restartServers(surroundings)
  return recovery
}

/** Gives the next faults a service that works. */
const restartServers = async ({ disturbances, load, note, stage }: Surroundings): Promise<void> => {
  note("still broken: restarting both servers")
  const { latest } = disturbances
  for (const server of serverNames) disturbances.begin(latest, server)
  for (const server of serverNames) stage.kill(server)
  await Promise.all(serverNames.map(stage.started))
  for (const server of serverNames) disturbances.end(server)
  await untilWhole(load, performance.now())
}
