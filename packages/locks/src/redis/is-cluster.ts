import type { Cluster } from "ioredis"
import type { RedisClient } from "./client.ts"

/** Whether a client is one of a cluster. A program may have several copies of ioredis, so its class does not tell. */
export const isCluster = (client: RedisClient): client is Cluster => client.isCluster
