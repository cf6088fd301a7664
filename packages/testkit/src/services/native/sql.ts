import { randomBytes } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { SourceUnusable } from "../errors.ts"
import { sqlMethods, sqlServerInfo, withSql } from "../clients.ts"
import type { Source, SqlFlavour, SqlService } from "../service.ts"
import type { Wish } from "../settings.ts"
import {
  persistentDirectory,
  releaseDirectory,
  temporaryDirectory,
  type ServerDirectory
} from "./directories.ts"
import type { Installation } from "./installation.ts"
import { freePort } from "./port.ts"
import { runServer } from "./server.ts"
import { serverArgs } from "./sql-arguments.ts"
import { copyTemplate } from "./template.ts"

const USER = "holdfast"
const READY_MS = 120_000

/** Starts a private MySQL or MariaDB with a user that has all privileges and a random password. */
export async function startNativeSql(
  source: Source,
  installation: Installation<SqlFlavour>,
  wish: Wish<SqlFlavour>,
  choosePort = freePort
): Promise<SqlService> {
  const { flavour, program, root, env } = installation
  const directory =
    wish.dataDirectory === undefined
      ? await temporaryDirectory(flavour)
      : await persistentDirectory(wish.dataDirectory, flavour)
  const data = join(directory.path, "data")
  const initFile = join(directory.path, "init.sql")
  const temporary = join(directory.path, "tmp")
  try {
    refuseNewerData(directory, installation)
    if (!existsSync(data)) await copyTemplate(installation, data, wish.progress)
  } catch (error) {
    releaseDirectory(directory)
    throw error
  }
  writeVersion(directory, installation)
  const password = randomBytes(16).toString("hex")
  mkdirSync(temporary, { recursive: true })
  writeFileSync(initFile, userStatements(password), { mode: 0o600 })
  const address = (port: number) => ({ host: "127.0.0.1", port, user: USER, password })
  const durable = !directory.temporary
  const server = await runServer({
    program,
    env,
    directory,
    args: (port) => serverArgs({ flavour, root, data, temporary, initFile, port, durable }),
    probe: (port) => withSql(address(port), sqlServerInfo),
    // Only a server of an earlier attempt on the same directory could accept the password, too.
    isOurs: (_, pid) => Number(readFileSync(join(data, "server.pid"), "utf8")) === pid,
    readyMs: READY_MS,
    choosePort
  })
  return {
    flavour: server.info.flavour,
    version: server.info.version,
    source,
    ...sqlMethods(address(server.port)),
    get identity() {
      return { pid: server.pid() }
    },
    ...server.controls
  }
}

/** Runs at every start, so a persistent directory gets a new password each time. */
const userStatements = (password: string) =>
  [
    `CREATE USER IF NOT EXISTS '${USER}'@'%' IDENTIFIED BY '${password}';`,
    `ALTER USER '${USER}'@'%' IDENTIFIED BY '${password}';`,
    `GRANT ALL ON *.* TO '${USER}'@'%' WITH GRANT OPTION;`,
    ""
  ].join("\n")

const versionFile = (directory: ServerDirectory) => join(directory.path, "version.txt")

const writeVersion = (directory: ServerDirectory, { version }: Installation<SqlFlavour>) =>
  writeFileSync(versionFile(directory), version)

/** Neither server can read the files of a newer series, and trying can destroy them. */
function refuseNewerData(directory: ServerDirectory, { flavour, version }: Installation<SqlFlavour>): void {
  if (!existsSync(versionFile(directory))) return
  const written = readFileSync(versionFile(directory), "utf8")
  if (compareSeries(written, version) > 0)
    throw new SourceUnusable(
      `the data in ${directory.path} were written by ${flavour} ${written}, and this server is only ${version}`
    )
}

/** Compares major and minor numbers only; all patches of a series can read each other's files. */
function compareSeries(a: string, b: string): number {
  const [aMajor = 0, aMinor = 0] = a.split(".").map(Number)
  const [bMajor = 0, bMinor = 0] = b.split(".").map(Number)
  return aMajor - bMajor || aMinor - bMinor
}
