/** Redis topologies that the testkit does not start: a cluster, and a master with a replica and a sentinel. */
import { type ChildProcess, spawn } from "node:child_process"
import { createServer } from "node:net"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { eventually, startServices } from "@holdfast/testkit"
import { Redis } from "ioredis"
import { listenForErrors } from "../src/redis/client.ts"

interface Program {
  readonly path: string
  readonly env: NodeJS.ProcessEnv
}

/** The topologies need a program of this machine, even in a run that is forced to containers. */
const startNative = async () => {
  const forced = process.env["HOLDFAST_SOURCE"]
  delete process.env["HOLDFAST_SOURCE"]
  try {
    return await startServices({ sql: false, redis: { kind: "redis" }, source: ["native", "packages"] })
  } finally {
    if (forced !== undefined) process.env["HOLDFAST_SOURCE"] = forced
  }
}

/** The program that the testkit found or fetched for this machine, and its environment. */
const findProgram = async (): Promise<Program> => {
  await using services = await startNative()
  const client = listenForErrors(new Redis(services.redis.url()))
  try {
    const path = /^executable:(.*)$/m.exec(await client.info("server"))?.[1]?.trim()
    if (path === undefined) throw new Error("the server does not say which program it is")
    return { path, env: { ...process.env, ...environmentOf(services.redis.identity.pid) } }
  } finally {
    client.disconnect()
  }
}

/** Unpacked programs find their libraries through an environment variable. */
const environmentOf = (pid: number | undefined): NodeJS.ProcessEnv => {
  try {
    const entries = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0")
    const libraries = entries.find((entry) => entry.startsWith("LD_LIBRARY_PATH="))
    return libraries === undefined ? {} : { LD_LIBRARY_PATH: libraries.slice("LD_LIBRARY_PATH=".length) }
  } catch {
    return {}
  }
}

export interface Topology extends AsyncDisposable {
  readonly ports: ReadonlyArray<number>
  readonly clients: ReadonlyArray<Redis>
}

class Servers {
  readonly #directory = mkdtempSync(join(tmpdir(), "holdfast-locks-"))
  readonly #children: Array<ChildProcess> = []
  readonly clients: Array<Redis> = []
  readonly ports: Array<number> = []
  readonly #program: Program
  readonly #killAll = () => {
    for (const child of this.#children) child.kill("SIGKILL")
  }

  constructor(program: Program) {
    this.#program = program
    process.on("exit", this.#killAll)
  }

  async start(port: number, args: ReadonlyArray<string>): Promise<Redis> {
    const common = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", this.#directory]
    const child = spawn(this.#program.path, [...args, ...common], { env: this.#program.env, stdio: "ignore" })
    this.#children.push(child)
    const client = listenForErrors(new Redis(port, "127.0.0.1", { retryStrategy: () => 20 }))
    this.clients.push(client)
    this.ports.push(port)
    await eventually(() => client.ping(), { timeoutMs: 10_000 })
    return client
  }

  /** A file that a server may write to, such as a sentinel's configuration. */
  file(name: string, text: string): string {
    const path = join(this.#directory, name)
    writeFileSync(path, text)
    return path
  }

  async stop(): Promise<void> {
    for (const client of this.clients) client.disconnect()
    const gone = this.#children.map(
      (child) =>
        new Promise<void>((resolve) =>
          child.exitCode === null ? child.once("exit", () => resolve()) : resolve()
        )
    )
    this.#killAll()
    await Promise.all(gone)
    process.off("exit", this.#killAll)
    rmSync(this.#directory, { recursive: true, force: true })
  }

  topology(): Topology {
    return { ports: this.ports, clients: this.clients, [Symbol.asyncDispose]: () => this.stop() }
  }
}

const startTopology = async (start: (servers: Servers) => Promise<void>): Promise<Topology> => {
  const servers = new Servers(await findProgram())
  try {
    await start(servers)
    return servers.topology()
  } catch (error) {
    await servers.stop()
    throw error
  }
}

/** Cluster nodes also listen on their port plus 10,000, which must be a valid port. */
const HIGHEST_PORT = 55_000

/** A port of this machine that is not in use now. */
const freePort = async (): Promise<number> => {
  for (;;) {
    const port = await new Promise<number>((resolve, reject) => {
      const server = createServer().on("error", reject)
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
      })
    })
    if (port > 0 && port <= HIGHEST_PORT) return port
  }
}

const SLOTS = 16_384

const CLUSTER_ARGS = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"]

/** Starts a cluster of masters that share the slots evenly. */
export const startCluster = (masters: number): Promise<Topology> =>
  startTopology(async (servers) => {
    for (let node = 0; node < masters; node += 1) {
      const port = await freePort()
      await servers.start(port, CLUSTER_ARGS.concat("--cluster-config-file", `nodes-${port}.conf`))
    }
    for (const [node, client] of servers.clients.entries()) {
      const first = Math.floor((SLOTS * node) / masters)
      const last = Math.floor((SLOTS * (node + 1)) / masters) - 1
      await client.call("CLUSTER", "ADDSLOTSRANGE", String(first), String(last))
      await client.call("CLUSTER", "SET-CONFIG-EPOCH", String(node + 1))
    }
    for (const port of servers.ports.slice(1)) {
      await servers.clients[0]?.call("CLUSTER", "MEET", "127.0.0.1", String(port))
    }
    for (const client of servers.clients) {
      await eventually(
        async () => {
          const info = String(await client.call("CLUSTER", "INFO"))
          return info.includes("cluster_state:ok") && info.includes(`cluster_known_nodes:${masters}`)
        },
        { timeoutMs: 20_000 }
      )
    }
  })

export interface SentinelTopology extends Topology {
  readonly sentinelPort: number
  /** Fails over to the replica, the way an operator does. Resolves when it is the master. */
  readonly failOver: () => Promise<void>
}

/** Starts a master named `main`, its replica, and the sentinel that watches them. */
export const startSentinel = async (): Promise<SentinelTopology> => {
  const topology = await startTopology(async (servers) => {
    const masterPort = await freePort()
    await servers.start(masterPort, [])
    const replica = await servers.start(await freePort(), [
      "--replicaof",
      `127.0.0.1 ${masterPort}`,
      "--repl-diskless-sync-delay",
      "0"
    ])
    await eventually(async () => (await replica.info("replication")).includes("master_link_status:up"), {
      timeoutMs: 20_000
    })
    const config = servers.file("sentinel.conf", `sentinel monitor main 127.0.0.1 ${masterPort} 1\n`)
    const sentinel = await servers.start(await freePort(), [config, "--sentinel"])
    // A sentinel looks at its servers every ten seconds, which is too long for a test.
    await sentinel.call("SENTINEL", "DEBUG", "info-period", "100").catch(() => {})
    await eventually(async () => (await sentinel.info("sentinel")).includes("slaves=1"), {
      timeoutMs: 20_000
    })
  })
  const [, replica, sentinel] = topology.clients
  return {
    ...topology,
    [Symbol.asyncDispose]: () => topology[Symbol.asyncDispose](),
    sentinelPort: topology.ports[2] ?? 0,
    failOver: async () => {
      await eventually(() => sentinel?.call("SENTINEL", "FAILOVER", "main"), {
        timeoutMs: 20_000,
        everyMs: 100
      })
      await eventually(async () => (await replica?.info("replication"))?.includes("role:master") ?? false, {
        timeoutMs: 20_000
      })
    }
  }
}
