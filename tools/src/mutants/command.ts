import { Option } from "effect"
import { Command, Flag } from "effect/cli"
import { json, program } from "../cli.ts"

const only = Flag.String("only").pipe(
  Flag.withMetavar("NAMES"),
  Flag.withDescription("these mutants, separated by commas; without it, all of them"),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)

export const mutants = Command.make(
  "mutants",
  { only, json },
  program("mutants", 2, () => import("./run.ts"))
).pipe(
  Command.withShortDescription("Removes each guard, and says which test notices"),
  Command.withDescription(`Removes each guard of the server and the locks, and says which test notices.

  Each patch in tools/mutants removes one guard and names the tests that must fail without it. They run in a
  copy of the working tree, first with every guard, then without each. The exit code is 1 when a mutant
  survives, and 2 when a patch does not apply or its tests do not run.`)
)
