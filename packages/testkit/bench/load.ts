/**
 * Shows a stall that a closed loop hides and an open loop measures: the same Redis, frozen by the fault proxy, measured
 * both ways in one run.
 *
 *   npm run bench -- load [--json] [--svg FILE]
 */
import { writeFileSync } from "node:fs"
import { Redis } from "ioredis"
import { startServices } from "../src/index.ts"
import { faultProxy } from "../src/faults/index.ts"
import { load } from "../src/load/index.ts"
import { Latencies, loadHistograms } from "../src/load/latencies.ts"
import { pause } from "../src/internal/promises.ts"

const durationMs = 5_000
const rate = 500
const stallMs = 1_000

/** Freezes the way to the server in the middle of the measurement. */
const withStall = async <A>(
  proxy: Awaited<ReturnType<typeof faultProxy>>,
  measure: () => Promise<A>
): Promise<A> => {
  const stalling = (async () => {
    await pause(durationMs / 2)
    proxy.freeze()
    await pause(stallMs)
    proxy.thaw()
  })()
  const [measured] = await Promise.all([measure(), stalling])
  return measured
}

/** As most tools measure: the next call starts after the previous one has ended. */
const closedLoop = async (fn: () => Promise<unknown>) => {
  await loadHistograms()
  const latencies = new Latencies()
  const endsAt = performance.now() + durationMs
  for (let now = performance.now(); now < endsAt;) {
    await fn()
    latencies.recordMs(performance.now() - now)
    await pause(1_000 / rate)
    now = performance.now()
  }
  return latencies.summary()
}

/** Returns the latencies of both measurements. `svg` names a file for the plot of the open loop. */
export const run = async ({ svg }: { readonly svg?: unknown } = {}) => {
  await using services = await startServices({ sql: false })
  await using proxy = await faultProxy({ upstream: services.redis, protocol: "redis" })
  const redis = new Redis({ host: proxy.host, port: proxy.port })
  try {
    await redis.ping()
    const closed = await withStall(proxy, () => closedLoop(() => redis.ping()))
    const open = await withStall(proxy, () => load({ rate, durationMs, fn: () => redis.ping() }))
    if (typeof svg === "string") writeFileSync(svg, open.toSvg(`Redis, frozen for ${stallMs} ms`))
    return { rate, durationMs, stallMs, closedLoop: closed, openLoop: open.latency }
  } finally {
    redis.disconnect()
  }
}
