import { startServices } from "@holdfast/testkit"
import { existsSync, readFileSync } from "node:fs"
import type { Reporting } from "../../src/progress.ts"
import { run as measureCache } from "../cache.ts"
import { run as measureGrowth, type GrowthResult } from "../growth/index.ts"
import { type GuaranteesResult, run as measureGuarantees } from "../guarantees/index.ts"
import { type PeersResult, run as measurePeers } from "../peers/index.ts"
import { type ProfileResult, run as measureProfile } from "../profile/index.ts"
import { run as measureStatements, type StatementsResult } from "../statements.ts"
import { measureShop, type ShopFigures } from "../shop/index.ts"
import { run as measureStrategies, type StrategiesResult } from "../strategies/index.ts"
import { load, type Machine, machineWith } from "./machine.ts"

/** How long and how often something is measured. */
interface Effort {
  readonly rounds: number
  readonly seconds: number
}

interface Efforts {
  readonly shop: Effort & { readonly memoryMinutes: number }
  readonly strategies: Effort
  readonly growth: Effort
  readonly guarantees: Effort
  readonly peers: Effort
  readonly cacheTurnMs: number
  /** Absent from older measurements. */
  readonly profile?: Pick<Effort, "seconds">
  /** Absent from older measurements. */
  readonly statements?: Effort
}

const FULL = {
  shop: { rounds: 3, seconds: 2.5, memoryMinutes: 1 },
  strategies: { rounds: 3, seconds: 2 },
  growth: { rounds: 2, seconds: 2 },
  guarantees: { rounds: 3, seconds: 1.5 },
  peers: { rounds: 3, seconds: 10 },
  cacheTurnMs: 500,
  profile: { seconds: 3 },
  statements: { rounds: 3, seconds: 0.5 }
} satisfies Efforts

/** Enough to see that everything works; the figures are rough. */
const QUICK = {
  shop: { rounds: 1, seconds: 0.3, memoryMinutes: 0.05 },
  strategies: { rounds: 1, seconds: 0.4 },
  growth: { rounds: 1, seconds: 0.15 },
  guarantees: { rounds: 1, seconds: 0.3 },
  peers: { rounds: 1, seconds: 2 },
  cacheTurnMs: 60,
  profile: { seconds: 0.5 },
  statements: { rounds: 1, seconds: 0.1 }
} satisfies Efforts

/** When and how the figures were taken. */
export interface Taken {
  readonly on: string
  readonly isQuick: boolean
  readonly minutes: number
  /** The load average of the last minute, before and after. The measurement itself is a part of the second one. */
  readonly load: { readonly before: number; readonly after: number }
  readonly efforts: Efforts
}

/** Everything that the report tells, as it is saved. */
export interface Measurements {
  readonly taken: Taken
  readonly machine: Machine
  readonly shop: ShopFigures
  readonly strategies: StrategiesResult
  readonly growth: GrowthResult
  readonly guarantees: GuaranteesResult
  /** Only where other shops were asked for. */
  readonly peers?: PeersResult
  readonly cache: Awaited<ReturnType<typeof measureCache>>
  /** Absent from older measurements. */
  readonly statements?: StatementsResult
  /** Absent from older measurements. */
  readonly profile?: { readonly before?: ProfileBefore; readonly now: ProfileResult }
}

/** The profile of an earlier commit, by the same command. */
interface ProfileBefore {
  readonly commit: string
  readonly on: string
  readonly result: ProfileResult
}

interface MeasureOptions {
  readonly isQuick: boolean
  /** The largest number of orders in the table. */
  readonly mostOrders: number
  /** Installs and measures shops of another make, too. */
  readonly otherShops: boolean
  /** How long the memory is watched, unless the measurement is quick. */
  readonly memoryMinutes: number
}

const CALLERS = 64
/** More of them only wait longer in a shop that locks its rows. */
const PEER_CALLERS = 16
const MINUTE_MS = 60_000

/** Measures everything, one thing after the other, each on stores of its own. */
export const measureAll = async ({
  isQuick,
  memoryMinutes,
  mostOrders,
  onProgress,
  otherShops
}: MeasureOptions & Reporting): Promise<Measurements> => {
  const efforts = isQuick ? QUICK : FULL
  const startedAtMs = performance.now()
  const before = load()
  const machine = await machineHere()
  const watched = isQuick ? {} : { memoryMinutes }
  const shop = await measureShop({ ...efforts.shop, ...watched, only: [], peers: true, onProgress })
  const peers = otherShops
    ? { peers: await measurePeers({ ...efforts.peers, callers: PEER_CALLERS, onProgress }) }
    : {}
  const strategies = await measureStrategies({ ...efforts.strategies, callers: CALLERS, onProgress })
  const growth = await measureGrowth({ ...efforts.growth, mostOrders, only: [], onProgress })
  const guarantees = await measureGuarantees({ ...efforts.guarantees, onProgress })
  const cache = await measureCache({ turnMs: efforts.cacheTurnMs })
  const statements = await measureStatements({ ...efforts.statements, onProgress })
  const now = await measureProfile({ ...efforts.profile, onProgress })
  const saved = profileBefore()
  const profile = { ...(saved && { before: saved }), now }
  const minutes = Math.round(((performance.now() - startedAtMs) / MINUTE_MS) * 10) / 10
  const on = new Date().toISOString().slice(0, "2026-01-01".length)
  const taken = { on, isQuick, minutes, load: { before, after: load() }, efforts }
  return { taken, machine, shop, ...peers, strategies, growth, guarantees, cache, statements, profile }
}

/** What was saved of an earlier commit. */
const profileBefore = (): ProfileBefore | undefined => {
  const file = new URL("./profile-before.json", import.meta.url)
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as ProfileBefore) : undefined
}

const machineHere = async (): Promise<Machine> => {
  await using services = await startServices()
  return machineWith(services)
}
