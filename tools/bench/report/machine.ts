import type { Services } from "@holdfast/testkit"
import { availableParallelism, cpus, loadavg, release, totalmem, type } from "node:os"

/** What the figures depend on. It says nothing about whose machine it is. */
export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly memoryGb: number
  readonly kernel: string
  readonly node: string
  readonly sql: string
  readonly redis: string
}

const GB = 2 ** 30

/** This machine, with the stores that the measurements use. */
export const machineWith = ({ redis, sql }: Services): Machine => ({
  processor: cpus()[0]?.model.trim() ?? "unknown",
  cores: availableParallelism(),
  memoryGb: Math.round(totalmem() / GB),
  kernel: `${type()} ${/^\d+(?:\.\d+)*/.exec(release())?.[0] ?? ""}`.trim(),
  node: process.version,
  sql: storeOf(sql),
  redis: storeOf(redis)
})

const NAMES: Readonly<Record<string, string>> = {
  mariadb: "MariaDB",
  mysql: "MySQL",
  redis: "Redis",
  valkey: "Valkey"
}

const storeOf = ({ flavour, version }: { readonly flavour: string; readonly version: string }): string =>
  `${NAMES[flavour] ?? flavour} ${version}`

/** How many processes wanted a core in the last minute, on average. */
export const load = (): number => Math.round((loadavg()[0] ?? Number.NaN) * 10) / 10
