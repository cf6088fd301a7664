/** The commands of the repository: `node tools/src/main.ts NAME`, or `npm run NAME` after an installation. */
import { Command } from "effect/cli"
import { bench } from "./bench/command.ts"
import { runCommands } from "./cli.ts"
import { demo } from "./demo/command.ts"
import { drills } from "./drills/command.ts"
import { fill } from "./fill/command.ts"
import { mutants } from "./mutants/command.ts"
import { replay } from "./replay/command.ts"
import { soak } from "./soak.ts"
import { start } from "./start/command.ts"
import { verify } from "./verify/command.ts"

const commands = Command.make("npm run").pipe(
  Command.withDescription(
    "Holdfast's commands. A command's flags go after --, as in: npm run demo -- --users 50"
  ),
  Command.withSubcommands([start, demo, replay, verify, bench, soak, drills, fill, mutants])
)

await runCommands(commands, process.argv.slice(2))
