import type { Measurements } from "../../bench/report/measurements.ts"

const figures = (cpuUs: number | null) => ({
  cpuUs,
  cpuUsOf: { server: cpuUs, sql: 1, redis: null },
  perSecond: 1_234,
  p50Ms: 0.5,
  p99Ms: 12.25,
  failures: 0
})

const compared = { ...figures(900), ratioToFloor: 0.75, floor: figures(1_200), naive: figures(600) }
const burst = {
  asked: 50,
  coupons: 25,
  issued: 25,
  inDatabase: 25,
  decisionsPerSecond: 10,
  p99Ms: 3,
  failures: 0
}
const point = (at: number) => ({ at, holdfast: figures(1_000 / at), floor: figures(700) })
const strategy = {
  perSecond: 400,
  p50Ms: 10,
  p99Ms: 20,
  refused: 0,
  winners: [32, 32],
  lostUpdates: 0,
  isExact: true
}
const effort = { rounds: 1, seconds: 0.5 }
const kindOfCall = (serverUs: number | null) => ({
  serverUs,
  areas: { Effect: 0.75, Kysely: 0.245, Fastify: 0.005 }
})
const profiled = (serverUs: number | null) => ({
  issued: kindOfCall(serverUs),
  soldOut: kindOfCall(serverUs),
  order: kindOfCall(serverUs),
  payment: kindOfCall(serverUs),
  product: kindOfCall(serverUs),
  balance: kindOfCall(serverUs)
})

/** Invented measurements of a few scenarios, in which one strategy is not exact. */
export const inventedMeasurements: Measurements = {
  taken: {
    on: "2030-01-02",
    isQuick: true,
    minutes: 1.5,
    load: { before: 0.5, after: 2 },
    efforts: {
      shop: { ...effort, memoryMinutes: 0.1 },
      strategies: effort,
      growth: effort,
      guarantees: effort,
      peers: effort,
      cacheTurnMs: 50
    }
  },
  machine: {
    processor: "A <fast> & quiet one",
    cores: 2,
    memoryGb: 8,
    kernel: "Linux 6.1",
    node: "v24.0.0",
    sql: "MariaDB 10.11",
    redis: "Redis 7.0"
  },
  shop: {
    order: compared,
    noop: { ...figures(null), ratioToFloor: null },
    burst: { ...burst, naive: { ...burst, issued: 50 } },
    booksRight: true,
    faultsInBooks: { holdfast: [], floor: [], naive: ["coupons issued above the limit: 25"] }
  },
  strategies: {
    callers: 64,
    scarce: 32,
    strategies: {
      none: { ...strategy, winners: [64, 63], lostUpdates: 7, isExact: false },
      spinLock: strategy,
      publishedLock: strategy,
      rowLock: strategy,
      optimisticVersion: strategy,
      queueLock: strategy,
      group: strategy,
      orders: strategy
    }
  },
  growth: {
    callers: [point(1), point(1_024)],
    lines: [point(1), point(500)],
    products: [point(1_000)],
    campaigns: [point(1)],
    orders: [point(1_000)],
    callersOf: { lines: 16, products: 64, campaigns: 64, orders: 64 },
    faultsInBooks: { holdfast: [], floor: [] }
  },
  guarantees: {
    callers: 64,
    floor: {
      everything: figures(1_500),
      lock: figures(1_200),
      fence: figures(1_300),
      answer: figures(1_400),
      event: figures(1_450),
      ledger: figures(1_440),
      nothing: figures(700)
    },
    holdfast: {
      everything: figures(900),
      lock: figures(700),
      fence: figures(800),
      answer: figures(850)
    }
  },
  cache: {
    readsPerSecond: { balance: { without: 100, with: 150, ratio: 1.5 } },
    readers: 16,
    turns: 5,
    turnMs: 50
  },
  statements: {
    statements: {
      "read of a row": {
        text: { clientUs: 150, sqlUs: 50 },
        prepared: { clientUs: 130, sqlUs: 40 }
      },
      "update of a row": { text: { clientUs: 150, sqlUs: null }, prepared: { clientUs: 130, sqlUs: null } }
    }
  },
  profile: {
    before: { commit: "abc1234", on: "2030-01-01", result: profiled(500) },
    now: profiled(null)
  }
}
