import { type Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { json, positiveNumber, program, toggle, wholeNumber } from "../cli.ts"
import type { Reporting } from "../progress.ts"

/** What the module of a measurement exports. Its result is a tree of figures; it throws when something is wrong. */
export interface Measurement<Options> {
  readonly run: (options: Options & Reporting) => Promise<unknown>
}

/** The handler of a measurement: prints its progress on stderr and its result on stdout. */
export const measure = <Options>(
  name: "bench" | "soak",
  load: () => Promise<Measurement<Options>>
): ((options: Options & { readonly json: boolean }) => Effect.Effect<void>) =>
  program(
    name,
    1,
    async () => {
      const { run } = await load()
      return {
        run: async (options) => {
          const result = await run({ ...options, onProgress: (line) => console.error(line) })
          if (options.json) console.log(JSON.stringify(result))
          else console.dir(result, { depth: null })
          return 0
        }
      }
    },
    ({ message, stack }) => stack ?? message
  )

const turns = (defaultTo: number) =>
  wholeNumber("turns", "turns of each contestant in each measurement", { maximum: 1_000, defaultTo })
const turnMs = (defaultTo: number) =>
  wholeNumber("turn-ms", "length of a turn in milliseconds", { maximum: 600_000, defaultTo })
const waiters = wholeNumber("waiters", "callers that loop over the contended key", {
  maximum: 10_000,
  defaultTo: 50
})

const optionalText = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar(metavar),
    Flag.withDescription(description),
    Flag.optional,
    Flag.map(Option.getOrUndefined)
  )

const locks = Command.make(
  "locks",
  { turns: turns(5), turnMs: turnMs(3_000), waiters, json },
  measure("bench", () => import("../../bench/locks/index.ts"))
).pipe(Command.withDescription("Holdfast's locks and redis-semaphore's"))

const lockPeers = Command.make(
  "lock-peers",
  { turns: turns(5), turnMs: turnMs(2_000), waiters, json },
  measure("bench", () => import("../../bench/lock-peers/index.ts"))
).pipe(Command.withDescription("Holdfast's locks and those of three other libraries"))

const sdk = Command.make(
  "sdk",
  {
    turns: turns(15),
    callsPerTurn: wholeNumber("calls-per-turn", "calls of a turn, half of them mutations", {
      minimum: 2,
      maximum: 1_000_000,
      defaultTo: 2_000
    }),
    json
  },
  measure("bench", () => import("../../bench/sdk/index.ts"))
).pipe(Command.withDescription("Processor time and bundle size of the client and of the plain tRPC client"))

const attacks = Command.make(
  "attacks",
  { json, turnMs: turnMs(10_000) },
  measure("bench", () => import("../../bench/attacks.ts"))
).pipe(Command.withDescription("What guessers and hoarders get, with the limits and without them"))

const cache = Command.make(
  "cache",
  { turnMs: turnMs(1_000), json },
  measure("bench", () => import("../../bench/cache.ts"))
).pipe(Command.withDescription("Reads a second with and without the server's cache"))

const overload = Command.make(
  "overload",
  {
    connections: wholeNumber("connections", "connections that are open", {
      maximum: 100_000,
      defaultTo: 5_000
    }),
    times: wholeNumber("times", "how many times too much is asked for", { maximum: 100, defaultTo: 4 }),
    turnMs: turnMs(10_000),
    json
  },
  measure("bench", () => import("../../bench/overload/index.ts"))
).pipe(Command.withDescription("What a server answers, and how soon, when far too much is asked of it"))

const connections = Command.make(
  "connections",
  {
    connections: wholeNumber("connections", "connections that are open at a time", {
      maximum: 100_000,
      defaultTo: 10_000
    }),
    waves: wholeNumber("waves", "how often all are opened and closed", { maximum: 100, defaultTo: 2 }),
    json
  },
  measure("bench", () => import("../../bench/memory.ts"))
).pipe(Command.withDescription("A server's memory with many connections, and after them"))

const only = optionalText("only", "NAMES", "measures only these, separated by commas").pipe(
  Flag.map((names) => names?.split(",") ?? [])
)
const memoryMinutes = positiveNumber("memory-minutes", "how long the memory is watched under load", {
  maximum: 600,
  defaultTo: 1
})

const shop = Command.make(
  "shop",
  {
    rounds: wholeNumber("rounds", "rounds of each measurement", { maximum: 100, defaultTo: 3 }),
    seconds: positiveNumber("seconds", "length of one measurement of one shop", {
      maximum: 600,
      defaultTo: 4
    }),
    memoryMinutes,
    only,
    peers: Flag.Boolean("peers").pipe(
      Flag.withDescription("--no-peers leaves out the floor and the naive shop"),
      Flag.withDefault(true)
    ),
    json
  },
  program(
    "bench",
    1,
    () => import("../../bench/shop/index.ts"),
    ({ message, stack }) => stack ?? message
  )
).pipe(Command.withDescription("The shop, the least program that writes the same rows, and a naive shop"))

const strategies = Command.make(
  "strategies",
  {
    rounds: wholeNumber("rounds", "rounds of each strategy", { maximum: 100, defaultTo: 3 }),
    seconds: positiveNumber("seconds", "how long one strategy sells in a round", {
      maximum: 600,
      defaultTo: 3
    }),
    callers: wholeNumber("callers", "callers that each want one unit after the other", {
      minimum: 33,
      maximum: 1_000,
      defaultTo: 64
    }),
    json
  },
  measure("bench", () => import("../../bench/strategies/index.ts"))
).pipe(Command.withDescription("Ways to keep concurrent sales of one product exact"))

const effort = (seconds: number) => ({
  rounds: wholeNumber("rounds", "rounds of each measurement", { maximum: 100, defaultTo: 2 }),
  seconds: positiveNumber("seconds", "length of one measurement", { maximum: 600, defaultTo: seconds })
})
const mostOrders = wholeNumber(
  "most-orders",
  "the largest table of orders; a million takes minutes to fill",
  {
    minimum: 1_000,
    maximum: 1_000_000,
    defaultTo: 100_000
  }
)

const peers = Command.make(
  "peers",
  {
    rounds: wholeNumber("rounds", "times that the last units of a product are sold", {
      maximum: 100,
      defaultTo: 3
    }),
    seconds: positiveNumber("seconds", "length of the sales of each shop in seconds", {
      maximum: 3_600,
      defaultTo: 10
    }),
    callers: wholeNumber("callers", "customers that buy at the same time", { maximum: 1_000, defaultTo: 16 }),
    json
  },
  measure("bench", () => import("../../bench/peers/index.ts"))
).pipe(Command.withDescription("the last units of a product and sales a second, in Holdfast and other shops"))

const growth = Command.make(
  "growth",
  { ...effort(2), mostOrders, only, json },
  measure("bench", () => import("../../bench/growth/index.ts"))
).pipe(
  Command.withDescription("An order's cost with more callers, more products in it and more orders before it")
)

const guarantees = Command.make(
  "guarantees",
  { ...effort(2), json },
  measure("bench", () => import("../../bench/guarantees/index.ts"))
).pipe(Command.withDescription("An order's cost without its lock, fence, stored answer, event or ledger"))

const statements = Command.make(
  "statements",
  { ...effort(0.5), json },
  measure("bench", () => import("../../bench/statements.ts"))
).pipe(Command.withDescription("Statements as text, as Holdfast sends them, and prepared"))

const profile = Command.make(
  "profile",
  { seconds: effort(3).seconds, json },
  measure("bench", () => import("../../bench/profile/index.ts"))
).pipe(Command.withDescription("Where the server's processor time goes, by area"))

const testkit = Command.make(
  "testkit",
  {
    rounds: wholeNumber("rounds", "rounds of each measurement", { maximum: 10_000, defaultTo: 10 }),
    kills: wholeNumber("kills", "runners to kill", { maximum: 10_000, defaultTo: 100 }),
    source: optionalText(
      "source",
      "SOURCE",
      "where servers come from (default HOLDFAST_SOURCE, else native)"
    ),
    json
  },
  measure("bench", () => import("@holdfast/testkit/bench/testkit/index"))
).pipe(Command.withDescription("The testkit's servers, checker and load generator"))

const explore = Command.make(
  "explore",
  { json },
  measure("bench", () => import("@holdfast/testkit/bench/explore/index"))
).pipe(Command.withDescription("The testkit's explorer of schedules, on planted bugs"))

const load = Command.make(
  "load",
  { svg: optionalText("svg", "FILE", "also draws the open loop's latencies into this file"), json },
  measure("bench", () => import("@holdfast/testkit/bench/load"))
).pipe(Command.withDescription("What an open loop sees of a stall that a closed loop hides"))

const report = Command.make(
  "report",
  {
    from: optionalText("from", "FILE", "takes the measurements from this file instead of measuring"),
    quick: toggle("quick", "measures for less than three minutes; the figures are rough"),
    mostOrders,
    otherShops: toggle("other-shops", "also installs Vendure outside of the repository and measures it"),
    memoryMinutes
  },
  program(
    "bench",
    1,
    () => import("../../bench/report/index.ts"),
    ({ message, stack }) => stack ?? message
  )
).pipe(Command.withDescription("Measures everything and writes docs/performance.md with its plots"))

export const bench = Command.make("bench").pipe(
  Command.withDescription(
    "Runs a benchmark and prints its figures. A benchmark's --help describes its flags"
  ),
  Command.withSubcommands([
    shop,
    locks,
    lockPeers,
    sdk,
    attacks,
    cache,
    overload,
    connections,
    strategies,
    growth,
    peers,
    guarantees,
    profile,
    statements,
    testkit,
    explore,
    load,
    report
  ]),
  Command.withExamples([{ command: "npm run bench -- locks --json" }])
)
