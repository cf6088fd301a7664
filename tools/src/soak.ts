import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { measure } from "./bench/command.ts"
import { json, program, wholeNumber } from "./cli.ts"

const rounds = (description: string) =>
  wholeNumber("rounds", description, { maximum: 100_000_000, defaultTo: 10_000 })

const MAXIMUM_SEED = Number.MAX_SAFE_INTEGER

const faultSeed = wholeNumber("seed", "seed of the faults and their order", {
  minimum: 0,
  maximum: MAXIMUM_SEED,
  defaultTo: Effect.sync(() => Date.now())
})

const locks = Command.make(
  "locks",
  { rounds: rounds("rounds of faults"), seed: faultSeed, json },
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

const MAXIMUM_MINUTES = 10_000

const minutes = Flag.String("minutes").pipe(
  Flag.withMetavar("N"),
  Flag.withDescription(`how long faults begin, in minutes, up to ${MAXIMUM_MINUTES} (default 30)`),
  Flag.filterMap(
    (text) => {
      const value = /^\d{1,5}(\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN
      return value > 0 && value <= MAXIMUM_MINUTES ? Option.some(value) : Option.none()
    },
    () => `a number above 0, up to ${MAXIMUM_MINUTES}`
  ),
  Flag.withDefault(30)
)

const faults = Command.make(
  "faults",
  {
    minutes,
    rate: wholeNumber("rate", "calls of each kind a second", { minimum: 2, maximum: 100, defaultTo: 2 }),
    seed: faultSeed,
    only: Flag.String("only").pipe(
      Flag.withMetavar("TEXT"),
      Flag.withDescription("only the faults whose name contains the text, such as redis (default all)"),
      Flag.withDefault("")
    ),
    json
  },
  program(
    "soak",
    1,
    () => import("../bench/faults/index.ts"),
    ({ message, stack }) => stack ?? message
  )
).pipe(
  Command.withDescription(
    "A shop on two servers under load, while its stores, its servers and their network fail in turn"
  )
)

export const soak = Command.make("soak").pipe(
  Command.withDescription(
    "Runs a long campaign and prints what it found. The exit code is 1 when it found a fault"
  ),
  Command.withSubcommands([faults, locks, explore]),
  Command.withExamples([
    { command: "npm run soak -- faults --minutes 5 --only redis" },
    { command: "npm run soak -- locks --rounds 1000" }
  ])
)
