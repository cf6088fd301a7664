import type { ClusterNode, SentinelAddress } from "ioredis"

/** One server: `redis://user:password@host:port/database`, or `rediss://` for TLS. */
export interface SingleServer {
  readonly url: string
}

/** The server that the sentinels call the master of this name. */
export interface SentinelGroup {
  readonly sentinels: ReadonlyArray<SentinelAddress>
  readonly name: string
  readonly username?: string
  readonly password?: string
  readonly sentinelPassword?: string
  readonly database?: number
}

/** A Redis Cluster, found through any of its nodes. */
export interface ClusterNodes {
  readonly nodes: ReadonlyArray<ClusterNode>
  readonly username?: string
  readonly password?: string
  /** Whether the nodes speak TLS. */
  readonly tls?: boolean
}

/** Where a Redis or Valkey is. */
export type RedisConnection = SingleServer | SentinelGroup | ClusterNodes

/** How long a command may take before its caller is told that Redis is away. */
export interface RedisTimings {
  /** Default: 2,000. */
  readonly commandTimeoutMs?: number
  /** How long the first connection may take before the program goes on without. Default: 2,000. */
  readonly connectTimeoutMs?: number
}
