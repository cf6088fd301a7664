import { execFile, execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { chown, mkdtemp, readdir, rm } from "node:fs/promises"
import { createServer, type AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"

const run = promisify(execFile)

/** A PostgreSQL server of our own with its durable defaults. Its data end with it. */
export interface Postgres {
  /** The address of an empty database. */
  readonly url: string
  /** The server, and its process for each connection. */
  readonly pids: () => ReadonlyArray<number>
  readonly stop: () => Promise<void>
}

/** Starts the installed PostgreSQL; `undefined` where none is installed. */
export const startPostgres = async (): Promise<Postgres | undefined> => {
  const programs = await directoryOfPrograms()
  if (programs === undefined) return undefined
  const directory = await mkdtemp(join(tmpdir(), "holdfast-postgres-"))
  const owner = ownerOfServers()
  if (owner !== undefined) await chown(directory, owner.uid, owner.gid)
  const options = { ...owner, cwd: directory }
  const data = join(directory, "data")
  await run(join(programs, "initdb"), ["-D", data, "-U", USER, "--auth=trust"], options)
  const port = await freePort()
  const listen = ["-p", `${port}`, "-k", directory, "-c", "listen_addresses=127.0.0.1"]
  const server = spawn(join(programs, "postgres"), ["-D", data, ...listen], { ...options, stdio: "ignore" })
  const address = ["-h", "127.0.0.1", "-p", `${port}`, "-U", USER]
  const stop = async () => {
    const gone = once(server, "exit")
    if (server.exitCode === null && server.kill("SIGINT")) await gone
    await rm(directory, { recursive: true, force: true })
  }
  try {
    await untilReady(() => run(join(programs, "createdb"), [...address, DATABASE], options))
  } catch (cause) {
    await stop()
    throw cause
  }
  return {
    url: `postgres://${USER}@127.0.0.1:${port}/${DATABASE}`,
    pids: () => [server.pid!, ...childrenOf(server.pid!)],
    stop
  }
}

const USER = "peer"
const DATABASE = "peer"
const DEBIAN_PROGRAMS = "/usr/lib/postgresql"

/** Debian keeps the programs of each version in a directory of its own, and not on the PATH. */
const directoryOfPrograms = async (): Promise<string | undefined> => {
  const versions = await readdir(DEBIAN_PROGRAMS).catch(() => [])
  const newest = versions.toSorted((a, b) => Number(b) - Number(a))[0]
  return newest === undefined ? undefined : join(DEBIAN_PROGRAMS, newest, "bin")
}

/** PostgreSQL refuses to run as root; its package has made a user for it. */
const ownerOfServers = (): { readonly uid: number; readonly gid: number } | undefined => {
  if (process.getuid?.() !== 0) return undefined
  const idOf = (kind: string) => Number(execFileSync("id", [kind, "postgres"], { encoding: "utf8" }))
  return { uid: idOf("-u"), gid: idOf("-g") }
}

/** A port of 127.0.0.1 that was just free. */
export const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

const READY_WITHIN_MS = 30_000

/** Tries until the server answers. */
const untilReady = async (attempt: () => Promise<unknown>): Promise<void> => {
  const startedAtMs = performance.now()
  for (;;) {
    try {
      await attempt()
      return
    } catch (cause) {
      if (performance.now() - startedAtMs > READY_WITHIN_MS) throw cause
      await new Promise((wake) => setTimeout(wake, 200))
    }
  }
}

const childrenOf = (pid: number): ReadonlyArray<number> => {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim()
  return children === "" ? [] : children.split(" ").map(Number)
}
