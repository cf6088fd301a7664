import type { ChildProcess } from "node:child_process"
import { randomBytes } from "node:crypto"
import { ONE_MACHINE_PLAYS_ALL } from "../shop/settings.ts"
import type { DrillFigures, Ground } from "./ground.ts"
import { startBalancer } from "./haproxy.ts"
import { CALLERS, makeCallers, startLoad, stockUp } from "./load.ts"
import { freePorts, startServer, stopServer, untilReady } from "./servers.ts"

const SERVERS = 3
const CALLS = 10_000

/** Longer than the balancer takes to notice, on a machine that is busy. */
const DRAIN = "3 seconds"

/**
 * Restarts three servers behind haproxy, one after the other and over again, while callers order, read and cancel: 10,000
 * calls or more, none of which anybody repeats. Whoever stops a server tells it again and again.
 */
export const rollingRestart = async ({ mysqlUrl, note, redisUrl }: Ground): Promise<DrillFigures> => {
  const environment = {
    ...ONE_MACHINE_PLAYS_ALL,
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
  const start = async (port: number) => void servers.set(port, await startServer(port, environment))
  // Each caller has goods of its own: who waits for whom is another drill.
  await stockUp(environment, { goods: CALLERS })
  try {
    for (const port of ports) await start(port)
    await using balancer = await startBalancer(front, ports)
    await untilReady(balancer.url)
    const callers = await makeCallers([balancer.url], { retry: { maxAttempts: 1 }, goods: CALLERS })
    note(`${callers.length} callers, ${SERVERS} servers`)
    await using load = startLoad(callers, note)
    do {
      for (const port of ports) {
        await stopServer(servers.get(port)!)
        await start(port)
        note(`restarted the server on port ${port}, after ${load.figures().calls} calls`)
      }
    } while (load.figures().calls < CALLS)
    return await load.stop()
  } finally {
    for (const server of servers.values()) server.kill("SIGKILL")
  }
}
