export { startRedisCluster, type RedisCluster, type RedisClusterOptions } from "./redis-cluster.ts"
export type { RedisNode } from "./redis-node.ts"
export {
  startRedisSentinelGroup,
  type RedisSentinelGroup,
  type SentinelGroupOptions
} from "./sentinel-group.ts"
