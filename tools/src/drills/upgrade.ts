import { type ChildProcess, execFileSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { mkdtempSync, readdirSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { ONE_MACHINE_PLAYS_ALL } from "../shop/settings.ts"
import type { DrillFigures, Ground } from "./ground.ts"
import { startBalancer } from "./haproxy.ts"
import { ADMIN, CALLERS, makeCallers, makeProducts, startLoad } from "./load.ts"
import { freePorts, startCommand, startServer, stopServer, untilReady } from "./servers.ts"

const SERVERS = 2
const DRAIN = "3 seconds"

/** Calls that are made before the migration, on the new schema, and with servers of both versions or the new one. */
const CALLS_EACH = 1_000

const root = fileURLToPath(new URL("../../..", import.meta.url))
const MIGRATIONS = "packages/server/src/migrations"

/**
 * Upgrades a shop that sells: servers of the commit before the newest migration, then the migration under them, then the
 * servers of this checkout one after the other. Nobody repeats a call.
 */
export const upgrade = async ({ mysqlUrl, note, redisUrl }: Ground): Promise<DrillFigures> => {
  const environment = {
    ...ONE_MACHINE_PLAYS_ALL,
    HOLDFAST_MYSQL_URL: mysqlUrl,
    HOLDFAST_REDIS_URL: redisUrl,
    HOLDFAST_SECRET: randomBytes(32).toString("hex"),
    HOLDFAST_DRAIN: DRAIN,
    HOLDFAST_LOG_LEVEL: "Warn",
    HOLDFAST_MAX_EVENT_LOOP_DELAY: "10 seconds"
  }
  await using previous = checkOutPrevious(note)
  await finished(startCommand(["migrate"], environment, previous))
  await finished(
    startCommand(["admin", "create", ADMIN.email], environment, { ...previous, input: `${ADMIN.password}\n` })
  )
  const [front = 0, ...ports] = await freePorts(SERVERS + 1)
  const servers = new Map<number, ChildProcess>()
  try {
    for (const port of ports) servers.set(port, await startServer(port, environment, previous.cli))
    await using balancer = await startBalancer(front, ports)
    await untilReady(balancer.url)
    await makeProducts(balancer.url, { goods: CALLERS, limited: 0 })
    const callers = await makeCallers([balancer.url], { retry: { maxAttempts: 1 }, goods: CALLERS })
    await using load = startLoad(callers, note)
    const until = async (calls: number) => {
      while (load.figures().calls < calls) await sleep(50)
    }
    await until(CALLS_EACH)
    await finished(startCommand(["migrate"], environment))
    note(`migrated under the servers, after ${load.figures().calls} calls`)
    await until(load.figures().calls + CALLS_EACH)
    for (const port of ports) {
      await stopServer(servers.get(port)!)
      servers.set(port, await startServer(port, environment))
      note(`replaced the server on port ${port}, after ${load.figures().calls} calls`)
    }
    await until(load.figures().calls + CALLS_EACH)
    return await load.stop()
  } finally {
    for (const server of servers.values()) server.kill("SIGKILL")
  }
}

const finished = async (command: ChildProcess): Promise<void> => {
  const [code] = (await once(command, "exit")) as [number | null]
  if (code !== 0) throw new Error(`${command.spawnargs.at(-1)} ended with ${code}`)
}

const git = (...args: ReadonlyArray<string>) =>
  execFileSync("git", ["-C", root, ...args], { encoding: "utf8" }).trim()

/** A checkout of its own, of the commit before the one that brought the newest migration. */
const checkOutPrevious = (note: (line: string) => void) => {
  const newest = readdirSync(join(root, MIGRATIONS))
    .filter((name) => /^\d{4}-/.test(name))
    .toSorted()
    .at(-1)!
  const brought = git("log", "-1", "--diff-filter=A", "--format=%H", "--", `${MIGRATIONS}/${newest}`)
  // A migration that is not committed yet is newer than the last commit.
  const commit = brought === "" ? git("rev-parse", "HEAD") : git("rev-parse", `${brought}^`)
  const directory = mkdtempSync(join(tmpdir(), "holdfast-previous-"))
  git("worktree", "add", "--detach", directory, commit)
  note(`the previous servers are of ${commit.slice(0, 9)}, which lacks ${newest}`)
  execFileSync("node", ["scripts/run.mjs", "install"], { cwd: directory, stdio: "ignore" })
  return {
    cli: join(directory, "packages/server/src/cli.ts"),
    [Symbol.asyncDispose]: async () => void git("worktree", "remove", "--force", directory)
  }
}
