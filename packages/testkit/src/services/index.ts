export {
  InvalidSetting,
  ServerDidNotStart,
  ServiceNotControllable,
  ServiceUnavailable,
  type Attempt
} from "./errors.ts"
export { databaseFactory, type DatabaseFactory, type IsolatedDatabase } from "./isolation/database.ts"
export {
  claimRedisDatabase,
  NoRedisDatabaseFree,
  RedisClaimLost,
  type ClaimedDatabase
} from "./isolation/redis-database.ts"
export { DatabasesForbidden, ForeignDatabase } from "./isolation/registry.ts"
export { TemplateFailed, type TemplateOptions } from "./isolation/template.ts"
export type {
  RedisFlavour,
  RedisService,
  ServiceControls,
  ServiceIdentity,
  Source,
  SqlFlavour,
  SqlService
} from "./service.ts"
export type { RedisOptions, SqlOptions } from "./settings.ts"
export { startServices, type ServiceOptions, type Services } from "./start.ts"
