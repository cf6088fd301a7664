/** A database and a Redis that speak TLS and listen on IPv4, IPv6 and a Unix socket. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { eventually, startServices } from "@holdfast/testkit"
import { Redis } from "ioredis"
import { createConnection } from "mysql2/promise"

export interface SecureStores extends AsyncDisposable {
  /** The directory of `ca.pem`, `client.pem`, `client.key`, `other-ca.pem` and the sockets. */
  readonly directory: string
  readonly sql: {
    readonly port: number
    readonly socket: string
    readonly user: string
    readonly password: string
  }
  readonly redis: { readonly port: number; readonly tlsPort: number; readonly socket: string }
}

const openssl = (directory: string, args: string) =>
  execFileSync("openssl", args.split(" "), { cwd: directory, stdio: "pipe" })

const makeCertificates = (directory: string): void => {
  const key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
  for (const name of ["ca", "other-ca"])
    openssl(directory, `req -x509 ${key} -subj /CN=${name} -keyout ${name}.key -out ${name}.pem`)
  writeFileSync(join(directory, "names"), "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\n")
  for (const name of ["server", "client"]) {
    openssl(directory, `req ${key} -subj /CN=${name} -keyout ${name}.key -out ${name}.csr`)
    const signed = "-CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names"
    openssl(directory, `x509 -req -in ${name}.csr ${signed} -out ${name}.pem`)
  }
}

/** The testkit makes the data and finds the programs; then they run again with more arguments. */
const prepare = async (dataDirectory: string) => {
  const forced = process.env["HOLDFAST_SOURCE"]
  delete process.env["HOLDFAST_SOURCE"]
  try {
    await using services = await startServices({
      dataDirectory,
      redis: { kind: "redis" },
      source: ["native", "packages"]
    })
    const { password, port, user } = services.sql
    return {
      sql: { ...commandOf(services.sql.identity.pid), port, user, password },
      redis: { ...commandOf(services.redis.identity.pid), port: services.redis.port }
    }
  } finally {
    if (forced !== undefined) process.env["HOLDFAST_SOURCE"] = forced
  }
}

const commandOf = (pid: number | undefined) => {
  const words = (file: string) => readFileSync(`/proc/${pid}/${file}`, "utf8").split("\0").filter(Boolean)
  // Redis writes a title of its own over its command line.
  const program = readlinkSync(`/proc/${pid}/exe`)
  const args = words("cmdline").filter((word) => word.startsWith("--"))
  const env = Object.fromEntries(words("environ").map((pair) => pair.split(/=(.*)/s).slice(0, 2)))
  return { program, args, env: env as NodeJS.ProcessEnv }
}

export const startSecureStores = async (): Promise<SecureStores> => {
  const directory = mkdtempSync(join(tmpdir(), "hf-tls-"))
  const children: Array<ChildProcess> = []
  const stop = async () => {
    for (const child of children) child.kill("SIGKILL")
    for (const child of children)
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit")
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    makeCertificates(directory)
    const { redis, sql } = await prepare(join(directory, "data"))
    const at = (name: string) => join(directory, name)
    const run = (argv0: string, { args, env, program }: typeof redis, more: ReadonlyArray<string>) =>
      children.push(spawn(program, [...args, ...more], { argv0, env, stdio: "ignore" }))
    const pems = [
      `--ssl-ca=${at("ca.pem")}`,
      `--ssl-cert=${at("server.pem")}`,
      `--ssl-key=${at("server.key")}`
    ]
    run(sql.program, sql, [...pems, "--bind-address=127.0.0.1,127.0.0.2,::1", `--socket=${at("sql.sock")}`])
    const tlsPort = redis.port + 1
    const files = [
      "--tls-ca-cert-file",
      at("ca.pem"),
      "--tls-cert-file",
      at("server.pem"),
      "--tls-key-file",
      at("server.key")
    ]
    const listening = [
      "--port",
      String(redis.port),
      "--save",
      "",
      "--bind",
      "127.0.0.1",
      "127.0.0.2",
      "::1",
      "--unixsocket",
      at("redis.sock"),
      "--tls-port",
      String(tlsPort)
    ]
    // Redis decides by its name whether it is the server or one of its tools.
    run("redis-server", { ...redis, args: [] }, [
      ...files,
      ...listening,
      "--tls-auth-clients",
      "optional",
      "--protected-mode",
      "no"
    ])
    const connection = await eventually(
      () => createConnection({ host: "127.0.0.1", port: sql.port, user: sql.user, password: sql.password }),
      { timeoutMs: 30_000 }
    )
    for (const [user, condition] of [
      ["tls", "REQUIRE SSL"],
      ["x509", "REQUIRE X509"]
    ])
      await connection.query(`CREATE USER ${user} IDENTIFIED BY 'p@ss:w/rd#%1' ${condition}`)
    for (const user of ["tls", "x509"]) await connection.query(`GRANT ALL ON *.* TO ${user}`)
    await connection.query("CREATE DATABASE secure CHARACTER SET utf8mb4")
    await connection.end()
    const client = new Redis(redis.port, "127.0.0.1", { retryStrategy: () => 50 })
    client.on("error", () => {})
    await eventually(() => client.ping(), { timeoutMs: 30_000 })
    await client.call("ACL", "SETUSER", "ann", "on", ">p@ss:w/rd#%1", "~*", "&*", "+@all")
    client.disconnect()
    return {
      directory,
      sql: { port: sql.port, socket: at("sql.sock"), user: sql.user, password: sql.password },
      redis: { port: redis.port, tlsPort, socket: at("redis.sock") },
      [Symbol.asyncDispose]: stop
    }
  } catch (error) {
    await stop()
    throw error
  }
}
