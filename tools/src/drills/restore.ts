import { execFile, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { mkdtempSync, openSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { promisify } from "node:util"
import { createConnection, type RowDataPacket } from "mysql2/promise"
import { audit } from "../shop/audit.ts"
import { type ServerProcess, startServerProcess } from "../shop/server-process.ts"
import type { DrillFigures, Ground } from "./ground.ts"
import { makeBuyers, makeCallers, LIMITED, paced, startLoad, stockUp } from "./load.ts"

const SERVERS = 2
const UNITS = 200
const BUYERS = 4

/** How long everybody calls before the backup, and again after it. */
const PAUSE_MS = 3_000

/** How soon the audit has to find the books right again. */
const RIGHT_WITHIN_MS = 5_000

/**
 * Takes a backup in the middle of a sale, sells on, and restores it while Redis keeps what it has: the servers are stopped,
 * the backup is loaded, the servers start and sell the rest. Fails when what was sold before the backup and after the restore
 * is not all there was, or when the books are not right within five seconds.
 */
export const restore = async (ground: Ground): Promise<DrillFigures> => {
  const { mysqlUrl, note, redisUrl } = ground
  const environment = {
    HOLDFAST_MYSQL_URL: mysqlUrl,
    HOLDFAST_REDIS_URL: redisUrl,
    HOLDFAST_SECRET: randomBytes(32).toString("hex"),
    HOLDFAST_LOG_LEVEL: "Error",
    HOLDFAST_MAX_UNPAID_ORDERS: "1000",
    HOLDFAST_MAX_EVENT_LOOP_DELAY: "10 seconds"
  }
  const directory = mkdtempSync(join(tmpdir(), "holdfast-backup-"))
  const file = join(directory, "backup.sql")
  try {
    await stockUp(environment, { limited: UNITS })
    const before = await sellAtNewServers(environment, note, async (won) => {
      await sleep(PAUSE_MS)
      note(`the backup is taken, while ${won()} are won`)
      await dump(mysqlUrl, file)
      await sleep(PAUSE_MS)
      note(`${won()} were won when the servers stop`)
    })
    const stoppedAtMs = performance.now()
    await load(mysqlUrl, file)
    note("the backup is loaded; Redis knows more than it does")
    const after = await sellAtNewServers(environment, note, async (_won, buyRest) => {
      const left = await unitsLeft(mysqlUrl)
      await sleep(PAUSE_MS)
      const rest = await buyRest()
      note(`${UNITS - left} had been won in the backup, ${rest} after it`)
      if (rest !== left) throw new Error(`${rest} were won after the restore, of ${left} that were left`)
    })
    const holeMs = Math.round(after.firstAnswerAtMs - stoppedAtMs)
    await untilRight(ground)
    return {
      calls: before.calls + after.calls,
      failed: before.failed + after.failed,
      worstMs: Math.max(before.worstMs, after.worstMs),
      holeMs
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** What happens during a sale: `won` tells how many are won, `buyRest` ends the sale, and tells it as well. */
type Sale = (won: () => number, buyRest: () => Promise<number>) => Promise<void>

const sellAtNewServers = async (
  environment: Readonly<Record<string, string>>,
  note: (line: string) => void,
  sale: Sale
) => {
  const servers: Array<ServerProcess> = []
  try {
    for (let n = 0; n < SERVERS; n += 1)
      servers.push(await startServerProcess({ environment, maximumRestarts: 0 }))
    const urls = servers.map(({ url }) => url)
    const buyers = await makeBuyers(Array.from({ length: BUYERS }, (_, n) => urls[n % SERVERS]!))
    const firstAnswerAtMs = performance.now()
    const won = () => buyers.reduce((sum, buyer) => sum + buyer.won(), 0)
    await using load = startLoad(
      [...(await makeCallers(urls)), ...buyers.map(({ call }) => paced(call))],
      note
    )
    await sale(won, async () => {
      await load.stop()
      await Promise.all(buyers.map(({ buyRest }) => buyRest()))
      return won()
    })
    return { ...(await load.stop()), firstAnswerAtMs }
  } finally {
    await Promise.all(servers.map((server) => server.stop()))
  }
}

const run = promisify(execFile)

/** The arguments of MariaDB's and MySQL's own programs, and the password, which stands in no list of processes. */
const clientOptions = (mysqlUrl: string) => {
  const { hostname, password, pathname, port, username } = new URL(mysqlUrl)
  return {
    args: [
      `--host=${hostname}`,
      `--port=${port}`,
      `--user=${decodeURIComponent(username)}`,
      pathname.slice(1)
    ],
    env: { ...process.env, MYSQL_PWD: decodeURIComponent(password) }
  }
}

const dump = async (mysqlUrl: string, file: string) => {
  const { args, env } = clientOptions(mysqlUrl)
  const options = ["--single-transaction", "--routines", "--triggers", `--result-file=${file}`]
  try {
    await run("mysqldump", [...options, ...args], { env })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error
    throw new Error(
      "the drill needs mysqldump and mysql; install them, on Debian with: apt-get install mariadb-client",
      { cause: error }
    )
  }
}

const load = async (mysqlUrl: string, file: string) => {
  const { args, env } = clientOptions(mysqlUrl)
  const child = spawn("mysql", args, { env, stdio: [openSync(file, "r"), "ignore", "inherit"] })
  const [code] = await once(child, "exit")
  if (code !== 0) throw new Error(`the backup could not be loaded: mysql ended with ${code}`)
}

const unitsLeft = async (mysqlUrl: string): Promise<number> => {
  await using connection = await createConnection(mysqlUrl)
  const [rows] = await connection.query<Array<RowDataPacket>>("SELECT stock FROM products WHERE sku = ?", [
    LIMITED
  ])
  return rows[0]!["stock"] as number
}

/** The last orders' events are on their way for a moment. */
const untilRight = async ({ mysqlUrl, note, redisUrl }: Ground) => {
  const startedAtMs = performance.now()
  for (;;) {
    const { ok } = await audit(mysqlUrl, redisUrl)
    const tookMs = Math.round(performance.now() - startedAtMs)
    if (ok) return note(`the books were right after ${tookMs} ms`)
    if (tookMs > RIGHT_WITHIN_MS) throw new Error(`the books are wrong ${tookMs} ms after the sale`)
  }
}
