import { Redis } from "ioredis"
import { peerStores } from "../peer.ts"

export const redis = new Redis(peerStores().redisUrl)
