import { execFileSync, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { Redis } from "ioredis"
import mysql from "mysql2/promise"
import { eventually } from "../../race/eventually.ts"

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address()
      if (address === null || typeof address === "string") throw new Error("the port is not known")
      server.close(() => resolve(address.port))
    })
  })

const stopper = (kill: () => void, directory: string) => async () => {
  kill()
  rmSync(directory, { recursive: true, force: true })
}

export const startRedis = async () => {
  const port = await freePort()
  const directory = mkdtempSync("/dev/shm/testkit-redis-")
  const args = ["--port", String(port), "--save", "", "--bind", "127.0.0.1", "--dir", directory]
  const child = spawn("redis-server", args, { stdio: "ignore" })
  const stop = stopper(() => child.kill("SIGKILL"), directory)
  process.once("exit", () => child.kill("SIGKILL"))
  await eventually(async () => {
    const redis = new Redis({ port, host: "127.0.0.1", lazyConnect: true, retryStrategy: () => null })
    redis.on("error", () => {})
    try {
      await redis.connect()
      await redis.ping()
    } finally {
      redis.disconnect()
    }
  })
  return { host: "127.0.0.1", port, pid: child.pid!, stop }
}

export const startMariadb = async () => {
  const port = await freePort()
  const directory = mkdtempSync("/dev/shm/testkit-maria-")
  const data = join(directory, "data")
  const install = [
    "--no-defaults",
    "--user=root",
    `--datadir=${data}`,
    "--auth-root-authentication-method=normal"
  ]
  execFileSync("mariadb-install-db", [...install, "--skip-test-db"], { stdio: "ignore" })
  const args = [
    "--no-defaults",
    "--user=root",
    `--datadir=${data}`,
    `--port=${port}`,
    "--bind-address=127.0.0.1",
    `--socket=${join(directory, "s")}`,
    `--pid-file=${join(directory, "pid")}`,
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-buffer-pool-size=32M",
    "--max-allowed-packet=64M"
  ]
  const child = spawn("mariadbd", args, { stdio: "ignore" })
  const stop = stopper(() => child.kill("SIGKILL"), directory)
  process.once("exit", () => child.kill("SIGKILL"))
  const server = { host: "127.0.0.1", port, user: "root" }
  await eventually(
    async () => {
      const connection = await mysql.createConnection(server)
      await connection.query("CREATE DATABASE IF NOT EXISTS test")
      await connection.end()
    },
    { deadlineMs: 20_000, everyMs: 50 }
  )
  return { ...server, database: "test", pid: child.pid!, stop }
}
