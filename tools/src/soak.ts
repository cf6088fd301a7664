import { Effect } from "effect"
import { Command } from "effect/cli"
import { measure } from "./bench/command.ts"
import { json, wholeNumber } from "./cli.ts"

const rounds = (description: string) =>
  wholeNumber("rounds", description, { maximum: 100_000_000, defaultTo: 10_000 })

const MAXIMUM_SEED = Number.MAX_SAFE_INTEGER

const locks = Command.make(
  "locks",
  {
    rounds: rounds("rounds of faults"),
    seed: wholeNumber("seed", "seed of the faults and their order", {
      minimum: 0,
      maximum: MAXIMUM_SEED,
      defaultTo: Effect.sync(() => Date.now())
    }),
    json
  },
  measure("soak", () => import("@holdfast/locks/bench/soak"))
).pipe(
  Command.withDescription("Books under a fenced lock, through faults of Redis, the network and the processes")
)

const explore = Command.make(
  "explore",
  {
    rounds: rounds("schedules of each scenario"),
    seed: wholeNumber("seed", "seed of the first random schedule", {
      minimum: 0,
      maximum: MAXIMUM_SEED,
      defaultTo: 1
    }),
    json
  },
  measure("soak", () => import("@holdfast/testkit/bench/explore/soak"))
).pipe(Command.withDescription("Scenarios without a bug, under thousands of schedules each"))

export const soak = Command.make("soak").pipe(
  Command.withDescription(
    "Runs a long campaign and prints what it found. The exit code is 1 when it found a fault"
  ),
  Command.withSubcommands([locks, explore]),
  Command.withExamples([{ command: "npm run soak -- locks --rounds 1000" }])
)
