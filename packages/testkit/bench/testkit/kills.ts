// What is left after a test runner was killed with SIGKILL, and for how long.
import { engine } from "../../src/services/docker/engine.ts"
import { startRunner } from "../../test/services/killed.ts"
import { until } from "../../test/services/support.ts"
import { figures } from "./figures.ts"

const GIVE_UP_MS = 10_000

/** Kills a runner with a SQL and a Redis server, again and again; measures until no process of its is left. */
export async function nativeKills(rounds: number) {
  const measured: Array<number> = []
  for (let round = 0; round < rounds; round++) {
    const runner = startRunner({ source: ["native"] })
    const { sql, redis } = await runner.ready
    const servers = [sql?.pid ?? 0, redis?.pid ?? 0]
    const began = performance.now()
    await runner.kill()
    await until("no server is left", GIVE_UP_MS, () => !servers.some(isRunning))
    measured.push(performance.now() - began)
    await until("no supervisor is left", GIVE_UP_MS, () => runner.descendants().length === 0)
  }
  return { ...figures(measured), within100Ms: measured.filter((ms) => ms <= 100).length }
}

/** The same with a Redis container, every fourth one frozen; measures until the engine has removed it. */
export async function dockerKills(rounds: number) {
  const { dockerode } = (await engine()).container
  const measured: Array<number> = []
  for (let round = 0; round < rounds; round++) {
    const runner = startRunner({ source: ["docker"], sql: false }, { freeze: round % 4 === 3 })
    const { redis } = await runner.ready
    const began = performance.now()
    await runner.kill()
    while ((await dockerode.listContainers({ all: true })).some(({ Id }) => Id === redis?.containerId))
      if (performance.now() - began > GIVE_UP_MS) throw new Error("a container is left")
    measured.push(performance.now() - began)
  }
  return { ...figures(measured), within1000Ms: measured.filter((ms) => ms <= 1_000).length }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
