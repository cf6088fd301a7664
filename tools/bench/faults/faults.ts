import { DATABASE, type ServerName, serverNames, type Stage, type Target } from "./stage.ts"

/** One kind of fault. */
interface Fault {
  readonly target: Target
  /** Ends with `begin`: it has no duration. */
  readonly isInstant?: true
  readonly begin: (stage: Stage) => Promise<void>
  /** Resolves when what the fault struck is there again. */
  readonly end: (stage: Stage) => Promise<void>
}

type Faults = Readonly<Record<string, Fault>>

const nothing = async (): Promise<void> => {}

/** Faults of the network before a server or a store. */
const ofNetwork = (target: Target): Faults => ({
  [`${target} cut off`]: {
    target,
    begin: async ({ proxies }) => {
      await proxies[target].refuse()
      proxies[target].cutAll("reset")
    },
    end: ({ proxies }) => proxies[target].accept()
  },
  [`${target} silent`]: {
    target,
    begin: async ({ proxies }) => proxies[target].freeze(),
    end: async ({ proxies }) => proxies[target].thaw()
  }
})

const ofStore = (target: "mysql" | "redis"): Faults => {
  const service = ({ services }: Stage) => (target === "mysql" ? services.sql : services.redis)
  return {
    ...ofNetwork(target),
    [`${target} connections half-open`]: {
      target,
      isInstant: true,
      begin: async ({ proxies }) => proxies[target].halfOpen(),
      end: nothing
    },
    [`${target} frozen`]: {
      target,
      begin: (stage) => service(stage).freeze(),
      end: (stage) => service(stage).thaw()
    },
    [`${target} restarted`]: {
      target,
      begin: (stage) => service(stage).kill(),
      end: (stage) => service(stage).restart()
    }
  }
}

const ofServer = (target: ServerName): Faults => ({
  ...ofNetwork(target),
  [`${target} frozen`]: {
    target,
    begin: async ({ servers }) => signal(servers[target].pid(), "SIGSTOP"),
    end: async ({ servers }) => signal(servers[target].pid(), "SIGCONT")
  },
  [`${target} killed`]: {
    target,
    begin: async ({ kill }) => kill(target),
    end: ({ started }) => started(target)
  }
})

const signal = (pid: number | undefined, name: NodeJS.Signals): void => {
  if (pid !== undefined) process.kill(pid, name)
}

const CROWDED_CONNECTIONS = 10
/** The answer of a full disk: ER_RECORD_FILE_FULL. */
const TABLE_IS_FULL = "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114, MESSAGE_TEXT = 'The table is full'"

const tablesOf = async ({ sql }: Stage): Promise<ReadonlyArray<string>> => {
  const rows = await sql(
    `SELECT TABLE_NAME AS name FROM information_schema.TABLES
     WHERE TABLE_SCHEMA = '${DATABASE}' AND TABLE_TYPE = 'BASE TABLE'`
  )
  return rows.map(({ name }) => String(name))
}

const ofMysql: Faults = {
  "mysql read-only": {
    target: "mysql",
    begin: async ({ sql }) => void (await sql("SET GLOBAL read_only = 1")),
    end: async ({ sql }) => void (await sql("SET GLOBAL read_only = 0"))
  },
  "mysql full": {
    target: "mysql",
    begin: async (stage) => {
      const triggers = (await tablesOf(stage)).map(
        (table) =>
          `CREATE TRIGGER \`full_${table}\` BEFORE INSERT ON \`${table}\` FOR EACH ROW ${TABLE_IS_FULL}`
      )
      await stage.sql(`USE \`${DATABASE}\``, ...triggers)
    },
    end: async (stage) => {
      const triggers = (await tablesOf(stage)).map((table) => `DROP TRIGGER IF EXISTS \`full_${table}\``)
      await stage.sql(`USE \`${DATABASE}\``, ...triggers)
    }
  },
  "mysql without connections": {
    target: "mysql",
    begin: async ({ proxies, sql }) => {
      await sql(`SET GLOBAL max_connections = ${CROWDED_CONNECTIONS}`)
      proxies.mysql.cutAll("reset")
    },
    end: async ({ sql }) => void (await sql("SET GLOBAL max_connections = 500"))
  }
}

const ofRedis: Faults = {
  "redis read-only": {
    target: "redis",
    begin: async ({ redis }) => void (await redis("REPLICAOF", "127.0.0.1", "1")),
    end: async ({ redis }) => void (await redis("REPLICAOF", "NO", "ONE"))
  },
  "redis full": {
    target: "redis",
    begin: async ({ redis }) => void (await redis("CONFIG", "SET", "maxmemory", "1")),
    end: async ({ redis }) => void (await redis("CONFIG", "SET", "maxmemory", "0"))
  },
  "redis flushed": {
    target: "redis",
    isInstant: true,
    begin: async ({ redis }) => void (await redis("FLUSHALL")),
    end: nothing
  }
}

const MINUTE_MS = 60_000

const clockShifted = (name: string, clockOffsetMs: number): Faults => ({
  [`server-2 clock ${name}`]: {
    target: "server-2",
    begin: async ({ servers }) => servers["server-2"].send({ clockOffsetMs }),
    end: async ({ servers }) => servers["server-2"].send({ clockOffsetMs: 0 })
  }
})

/** Every kind of fault, by name. */
export const faults: Faults = {
  ...ofStore("mysql"),
  ...ofMysql,
  ...ofStore("redis"),
  ...ofRedis,
  ...Object.assign({}, ...serverNames.map(ofServer)),
  ...clockShifted("11 min fast", 11 * MINUTE_MS),
  ...clockShifted("11 min slow", -11 * MINUTE_MS)
}
