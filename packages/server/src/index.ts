export { ServerConfig, type ServerSettings, settingsFromEnvironment } from "./config.ts"
export { DatabaseIsNewer, MigrationFailed } from "./platform/db/migrate.ts"
export type { AppRouter } from "./app-router.ts"
export { ListenFailed, type RunningServer, startServer, type StartOptions } from "./server.ts"
/**
 * `ensureAdmin(email, password)`: creates an administrator unless the e-mail is registered; a registered user keeps
 * password and role. An effect for `RunningServer.runtime`; its result is the user.
 */
export { ensureAdmin } from "./modules/auth/service.ts"
export { verifyText } from "./platform/audit/text.ts"
export { type CheckReport, verify, type VerifyReport } from "./verify.ts"
