export { InvalidSetting, ServerDidNotStart, ServiceNotControllable, ServiceUnavailable } from "./errors.ts"
export type { Attempt } from "./errors.ts"
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
export { startServices } from "./start.ts"
export type { ServiceOptions, Services } from "./start.ts"
export {
  claimRedisDatabase,
  databaseFactory,
  NoRedisDatabaseFree,
  TemplateFailed
} from "./isolation/index.ts"
export type {
  ClaimedDatabase,
  DatabaseFactory,
  IsolatedDatabase,
  TemplateOptions
} from "./isolation/index.ts"
