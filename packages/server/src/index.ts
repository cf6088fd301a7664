export { ServerConfig, type ServerSettings, settingsFromEnvironment } from "./config/ServerConfig.ts"
export { DatabaseIsNewer, MigrationFailed } from "./db/migrate.ts"
export type { AppRouter } from "./features/appRouter.ts"
export { ListenFailed, type RunningServer, startServer, type StartOptions } from "./startServer.ts"
