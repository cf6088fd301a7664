import { Option } from "effect"
import { Argument, Command } from "effect/cli"
import { json, program } from "../cli.ts"

const name = Argument.String("name").pipe(
  Argument.withDescription("the drill; without it, all of them"),
  Argument.optional,
  Argument.map(Option.getOrUndefined)
)

export const drills = Command.make(
  "drills",
  { name, json },
  program("drills", 2, () => import("./run.ts"))
).pipe(
  Command.withShortDescription("Rehearses what operators do, under load"),
  Command.withDescription(`Rehearses what operators do, under load, on private stores.

  rollingRestart: three servers behind haproxy are restarted one after the other; no call may fail.
  upgrade: servers of the commit before the newest migration sell on while that is made, and are then replaced.
  restore: a backup from the middle of a sale is loaded while Redis keeps what it has, and the sale ends exactly.
  redisCluster: a sale on a Redis Cluster of six while slots move and a master is killed.
  redisSentinel: a sale on a Redis with sentinels while the master changes and is killed.
  The exit code is 1 when a drill fails.`)
)
