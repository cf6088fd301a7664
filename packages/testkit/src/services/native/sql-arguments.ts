import { join } from "node:path"
import type { SqlFlavour } from "../service.ts"

/** Both servers refuse to run as root without this argument. */
export const asRootUser = () => (process.getuid?.() === 0 ? ["--user=root"] : [])

/** Arguments that shape the data files. A template must be made with the same ones that its server runs with. */
export const sharedArgs = (flavour: SqlFlavour): ReadonlyArray<string> =>
  flavour === "mariadb" ? ["--innodb-log-file-size=16M"] : ["--innodb-redo-log-capacity=16M"]

interface SqlRun {
  readonly flavour: SqlFlavour
  readonly root: string
  readonly data: string
  /** A directory of its own: a starting server removes leftovers there, which could be another server's tables. */
  readonly temporary: string
  readonly initFile: string
  readonly port: number
  /** Whether every commit is written through to the disk, as for persistent data. */
  readonly durable: boolean
}

/**
 * The server's arguments. A committed transaction always survives the server's process, because the operating system
 * has it in its cache; with `durable` it survives the machine. The doublewrite buffer stays on even for tests, because
 * SIGKILL can tear a page in the middle of a write.
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
    // Relative to the data directory, because a full path can exceed the limit for socket names.
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

/** No replica reads from this server, so it needs no binary log. */
const mysqlArgs = ["--mysqlx=OFF", "--disable-log-bin"]

/** Native asynchronous I/O needs kernel resources that containers run out of, and the data fit into memory. */
const mariadbArgs = ["--innodb-use-native-aio=OFF", "--key-buffer-size=1M", "--aria-pagecache-buffer-size=8M"]

/** Replaces the compiled-in directories, which begin with /usr. */
const unpackedArgs = (root: string) => [
  `--basedir=${join(root, "usr")}`,
  `--lc-messages-dir=${join(root, "usr/share/mysql")}`,
  `--character-sets-dir=${join(root, "usr/share/mysql/charsets")}`,
  `--plugin-dir=${join(root, "usr/lib/mysql/plugin")}`
]
