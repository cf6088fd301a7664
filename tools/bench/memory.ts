/** `npm run bench -- connections`: what many connections cost a server, and whether it gives their memory back. */
import { databaseFactory, startServices } from "@holdfast/testkit"
import { setTimeout } from "node:timers/promises"
import { type ServerProcess, startServerProcess } from "../src/shop/server-process.ts"
import { ONE_MACHINE_PLAYS_ALL } from "../src/shop/settings.ts"
import type { Reporting } from "../src/progress.ts"
import { openConnections } from "./connections.ts"
import { residentMb } from "./processes.ts"

interface ConnectionsBenchOptions extends Partial<Reporting> {
  readonly connections: number
  readonly waves: number
}

/** How much more than before a server may keep, and how long it may take to give the rest back. */
const KEPT = 1.2
const WITHIN_MS = 120_000

const REQUEST = "GET /trpc/products.page HTTP/1.1\r\nhost: shop\r\n\r\n"
/** Requests of a connection, so that each has been used. */
const REQUESTS = 3
const SETTLE_MS = 10_000

/** Opens connections in waves, uses each, closes all, and watches the memory of the server. Fails when it keeps more than a fifth. */
export const run = async ({ connections, onProgress = () => {}, waves }: ConnectionsBenchOptions) => {
  await using services = await startServices()
  const database = await (await databaseFactory(services.sql)).create()
  const server = await startServerProcess({
    environment: {
      HOLDFAST_MYSQL_URL: services.sql.url(database.name),
      HOLDFAST_REDIS_URL: services.redis.url(),
      ...ONE_MACHINE_PLAYS_ALL,
      HOLDFAST_SECRET: "the secret of a benchmark, 32 characters",
      HOLDFAST_MAX_CONNECTIONS: String(connections + 100),
      HOLDFAST_MAX_EVENT_LOOP_DELAY: "10 seconds"
    }
  })
  const memoryMb = () => residentMb(server.pid())
  try {
    await use(server, 10)
    await setTimeout(SETTLE_MS)
    const idleMb = memoryMb()
    let highestMb = idleMb
    const sampling = setInterval(() => (highestMb = Math.max(highestMb, memoryMb())), 250)
    for (let wave = 1; wave <= waves; wave += 1) {
      await use(server, connections)
      onProgress(`wave ${wave}: ${memoryMb()} MB, of ${idleMb} MB before`)
    }
    clearInterval(sampling)
    const closedAtMs = performance.now()
    const sinceMs = () => Math.round(performance.now() - closedAtMs)
    while (memoryMb() > KEPT * idleMb && sinceMs() < WITHIN_MS) await setTimeout(250)
    const figures = { connections, waves, idleMb, highestMb, lastMb: memoryMb(), afterMs: sinceMs() }
    if (figures.lastMb > KEPT * idleMb) throw new Error(`the server keeps it: ${JSON.stringify(figures)}`)
    return figures
  } finally {
    await server.stop()
    await database.drop()
  }
}

/** Sends requests on many connections at once, and closes them. */
const use = async ({ url }: ServerProcess, count: number): Promise<void> => {
  const connections = await openConnections(url, count)
  for (let request = 0; request < REQUESTS; request += 1) {
    const answers = Array.from({ length: count }, () => connections.send(REQUEST) ?? [])
    await Promise.all(answers.flat())
  }
  connections.close()
}
