import type { Cluster } from "ioredis"
import { isCluster, type RedisClient } from "./is-cluster.ts"

/** A command and its arguments. */
export type RedisCommand = readonly [name: string, ...args: ReadonlyArray<string | number>]

/**
 * Sends commands in one round trip and gives an error or a reply for each. In a cluster their keys share a slot. While that
 * slot moves, a node has only some of the keys: the commands that it sends elsewhere are sent there, one by one.
 */
export const pipelined = async (
  client: RedisClient,
  commands: ReadonlyArray<RedisCommand>
): Promise<ReadonlyArray<readonly [error: Error | null, reply: unknown]>> => {
  const replies = (await client.pipeline(commands.map((command) => [...command])).exec())!
  if (!isCluster(client)) return replies
  return Promise.all(
    replies.map((reply, at) =>
      isSentElsewhere(reply[0]) ? send(client, commands[at]!) : Promise.resolve(reply)
    )
  )
}

const isSentElsewhere = (error: Error | null): boolean =>
  error !== null && /^(ASK|MOVED|TRYAGAIN) /.test(error.message)

const send = (client: Cluster, [name, ...args]: RedisCommand) =>
  client.call(name, ...args).then(
    (reply) => [null, reply] as const,
    (error: Error) => [error, undefined] as const
  )
