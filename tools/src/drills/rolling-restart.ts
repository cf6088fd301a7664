import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { createServer } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import type { DrillFigures, Ground } from "./ground.ts"
import { startBalancer } from "./haproxy.ts"
import { CALLERS, makeCallers, startLoad, stockUp } from "./load.ts"

const SERVERS = 3
const CALLS = 10_000

/** Longer than the balancer takes to notice, on a machine that is busy. */
const DRAIN = "3 seconds"

const READY_WITHIN_MS = 300_000

/** A server that stops is told so again and again: none of that may harm what is in flight. */
const SIGNAL_EVERY_MS = 250

/**
 * Restarts three servers behind haproxy, one after the other and over again, while callers order, read and cancel: 10,000
 * calls or more, none of which anybody repeats.
 */
export const rollingRestart = async ({ mysqlUrl, note, redisUrl }: Ground): Promise<DrillFigures> => {
  const environment = {
    HOLDFAST_MYSQL_URL: mysqlUrl,
    HOLDFAST_REDIS_URL: redisUrl,
    HOLDFAST_SECRET: randomBytes(32).toString("hex"),
    HOLDFAST_DRAIN: DRAIN,
    HOLDFAST_LOG_LEVEL: "Warn",
    // The callers share the processor with the servers: shedding is another drill.
    HOLDFAST_MAX_EVENT_LOOP_DELAY: "10 seconds"
  }
  const [front = 0, ...ports] = await freePorts(SERVERS + 1)
  const servers = new Map<number, ChildProcess>()
  const start = async (port: number) => {
    servers.set(port, serve({ ...environment, PORT: String(port) }))
    await untilReady(`http://127.0.0.1:${port}`)
  }
  // Each caller has goods of its own: who waits for whom is another drill.
  await stockUp(environment, { goods: CALLERS })
  try {
    for (const port of ports) await start(port)
    await using balancer = await startBalancer(front, ports)
    await untilReady(balancer.url)
    const callers = await makeCallers([balancer.url], { retry: { maxAttempts: 1 }, goods: CALLERS })
    note(`${callers.length} callers, ${SERVERS} servers`)
    const load = startLoad(callers, note)
    do {
      for (const port of ports) {
        await stop(servers.get(port)!)
        await start(port)
        note(`restarted the server on port ${port}, after ${load.figures().calls} calls`)
      }
    } while (load.figures().calls < CALLS)
    return await load.stop()
  } finally {
    for (const server of servers.values()) server.kill("SIGKILL")
  }
}

const serve = (environment: Readonly<Record<string, string>>): ChildProcess => {
  const command = fileURLToPath(import.meta.resolve("@holdfast/server/cli"))
  const args = ["--conditions=holdfast-source", "--disable-warning=ExperimentalWarning", command, "serve"]
  return spawn(process.execPath, args, {
    env: { PATH: process.env["PATH"] ?? "", ...environment },
    stdio: ["ignore", "ignore", "inherit"]
  })
}

/** Stops a server as an impatient operator does. It has to end by itself. */
const stop = async (server: ChildProcess): Promise<void> => {
  if (server.exitCode !== null || server.signalCode !== null) return
  const ended = once(server, "exit")
  const signal = () => server.kill("SIGTERM")
  signal()
  const again = setInterval(signal, SIGNAL_EVERY_MS)
  const [code] = (await ended) as [number | null]
  clearInterval(again)
  if (code !== 0) throw new Error(`a server ended with ${code}`)
}

const untilReady = async (url: string): Promise<void> => {
  const deadlineMs = performance.now() + READY_WITHIN_MS
  for (;;) {
    const isReady = await fetch(`${url}/readyz`).then(
      ({ ok }) => ok,
      () => false
    )
    if (isReady) return
    if (performance.now() > deadlineMs) throw new Error(`${url} was not ready within ${READY_WITHIN_MS} ms`)
    await sleep(50)
  }
}

const freePorts = async (count: number): Promise<ReadonlyArray<number>> => {
  const listening = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, "127.0.0.1")
      await once(server, "listening")
      return server
    })
  )
  const ports = listening.map((server) => (server.address() as { readonly port: number }).port)
  await Promise.all(listening.map((server) => once(server.close(), "close")))
  return ports
}
