export { UnknownOption } from "./internal/options.ts"
export { PeerMissing } from "./internal/peer.ts"
export { eventually, type EventuallyOptions } from "./race/eventually.ts"
export { expectExactly } from "./race/expect-exactly.ts"
export { interleave, type Interleaved, type InterleaveOptions } from "./race/interleave.ts"
export type { Outcome } from "./race/outcome.ts"
export { race, type Caller, type RaceOptions, type RaceResult } from "./race/race.ts"
export {
  databaseFactory,
  type DatabaseFactory,
  type IsolatedDatabase
} from "./services/isolation/database.ts"
export { claimRedisDatabase, type ClaimedDatabase } from "./services/isolation/redis-database.ts"
export type { TemplateOptions } from "./services/isolation/template.ts"
export type { RedisService, SqlService } from "./services/service.ts"
export { startServices, type ServiceOptions, type Services } from "./services/start.ts"
