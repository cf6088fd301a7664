// How long servers survive the SIGKILL of their test runner.
import { setTimeout as delay } from "node:timers/promises"
import { engine } from "../../src/services/docker/engine.ts"
import { processExists } from "../../src/services/owner.ts"
import { startRunner, type Runner } from "../../test/services/killed.ts"
import { until } from "../../test/services/support.ts"
import { figures } from "./figures.ts"

const GIVE_UP_MS = 10_000
const LOOK_EVERY_MS = 1

/** Kills runners with a SQL and a Redis server, and measures the time until none of their servers is left. */
export async function nativeKills(rounds: number) {
  const times: Array<GoneTimes> = []
  for (let round = 0; round < rounds; round++) {
    const runner = startRunner({ source: ["native"] })
    const { sql, redis } = await runner.ready
    const servers = [sql?.pid ?? 0, redis?.pid ?? 0]
    times.push(await goneAfterKill(runner, () => servers.some(processExists)))
    await until("no supervisor is left", GIVE_UP_MS, () => runner.descendants().length === 0)
  }
  return summary(times, 100)
}

/** Kills runners with a Redis container, every fourth one frozen, and measures the time until it is removed. */
export async function dockerKills(rounds: number) {
  const { dockerode } = (await engine()).container
  const times: Array<GoneTimes> = []
  for (let round = 0; round < rounds; round++) {
    const runner = startRunner({ source: ["docker"], sql: false }, { freeze: round % 4 === 3 })
    const { redis } = await runner.ready
    const isLeft = async () =>
      (await dockerode.listContainers({ all: true })).some(({ Id }) => Id === redis?.containerId)
    times.push(await goneAfterKill(runner, isLeft))
  }
  return summary(times, 1_000)
}

interface GoneTimes {
  /** Since SIGKILL was sent, including the time that the machine takes to end the runner. */
  readonly sinceSignalMs: number
  /** Since the runner ended, which is when its servers can notice. */
  readonly sinceEndMs: number
}

async function goneAfterKill(runner: Runner, isLeft: () => boolean | Promise<boolean>): Promise<GoneTimes> {
  const signalled = performance.now()
  const ended = runner.kill().then(() => performance.now())
  while (await isLeft()) {
    if (performance.now() - signalled > GIVE_UP_MS)
      throw new Error(`something is left after ${GIVE_UP_MS} ms`)
    await delay(LOOK_EVERY_MS)
  }
  const gone = performance.now()
  return { sinceSignalMs: gone - signalled, sinceEndMs: Math.max(0, gone - (await ended)) }
}

const summary = (times: ReadonlyArray<GoneTimes>, limitMs: number) => ({
  limitMs,
  sinceSignal: within(
    times.map(({ sinceSignalMs }) => sinceSignalMs),
    limitMs
  ),
  sinceEndOfRunner: within(
    times.map(({ sinceEndMs }) => sinceEndMs),
    limitMs
  )
})

const within = (measured: ReadonlyArray<number>, limitMs: number) => ({
  ...figures(measured),
  withinLimit: measured.filter((ms) => ms <= limitMs).length
})
