import { join } from "node:path"
import type { SqlFlavour } from "../service.ts"

/** Both refuse to run as root unless told to. */
export const asRootUser = () => (process.getuid?.() === 0 ? ["--user=root"] : [])

/** Arguments that shape the data files, so a template must be made with the ones that it is run with. */
export const sharedArgs = (flavour: SqlFlavour): ReadonlyArray<string> =>
  flavour === "mariadb" ? ["--innodb-log-file-size=16M"] : ["--innodb-redo-log-capacity=16M"]

export interface SqlRun {
  readonly flavour: SqlFlavour
  readonly root: string
  readonly data: string
  /** Its own, because a server that starts removes what it takes for its leftovers: another server's temporary tables. */
  readonly temporary: string
  readonly initFile: string
  readonly port: number
  /** Data that is kept is written through to the disk at every commit. */
  readonly durable: boolean
}

/**
 * The server's arguments. A transaction that was committed always outlives the server's process (it is in the
 * operating system's cache at least); with `durable` it outlives the machine. The doublewrite buffer stays on
 * even for tests: SIGKILL can tear a page in the middle of its write.
 */
export function serverArgs({
  flavour,
  root,
  data,
  temporary,
  initFile,
  port,
  durable
}: SqlRun): ReadonlyArray<string> {
  return [
    "--no-defaults",
    ...asRootUser(),
    ...(root === "" ? [] : unpackedArgs(root)),
    `--datadir=${data}`,
    `--tmpdir=${temporary}`,
    `--init-file=${initFile}`,
    `--port=${port}`,
    "--bind-address=127.0.0.1",
    // Relative to the data directory: a full path can be longer than a socket's name may be.
    "--socket=server.sock",
    "--pid-file=server.pid",
    "--skip-name-resolve",
    "--character-set-server=utf8mb4",
    "--max-connections=500",
    ...sharedArgs(flavour),
    `--innodb-buffer-pool-size=${durable ? "256M" : "64M"}`,
    "--innodb-buffer-pool-load-at-startup=OFF",
    "--innodb-buffer-pool-dump-at-shutdown=OFF",
    `--innodb-flush-log-at-trx-commit=${durable ? 1 : 2}`,
    ...(flavour === "mysql" ? mysqlArgs : mariadbArgs)
  ]
}

/** Nobody replicates from here, so there is nothing to log twice. */
const mysqlArgs = ["--mysqlx=OFF", "--disable-log-bin"]

/** Asynchronous I/O needs kernel resources that containers run out of, and these data fit into memory anyway. */
const mariadbArgs = ["--innodb-use-native-aio=OFF", "--key-buffer-size=1M", "--aria-pagecache-buffer-size=8M"]

/** Their compiled-in directories begin with /usr. */
const unpackedArgs = (root: string) => [
  `--basedir=${join(root, "usr")}`,
  `--lc-messages-dir=${join(root, "usr/share/mysql")}`,
  `--character-sets-dir=${join(root, "usr/share/mysql/charsets")}`,
  `--plugin-dir=${join(root, "usr/lib/mysql/plugin")}`
]
