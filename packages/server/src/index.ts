export { ServerConfig, type ServerSettings, settingsFromEnvironment } from "./config.ts"
export { secretOf } from "./platform/settings.ts"
export { DatabaseIsNewer, DatabaseIsOlder, MigrationFailed } from "./platform/db/migrate.ts"
export type { AppRouter } from "./app.ts"
export type { TestAccount } from "./platform/http/first-page.ts"
export { ListenFailed, type RunningServer, startServer, type StartOptions } from "./server.ts"
/**
 * `ensureAdmin(email, password)`: creates an administrator unless the e-mail is registered; a registered user keeps
 * password and role. An effect for `RunningServer.runtime`; its result is the user.
 */
export { ensureAdmin } from "./modules/auth/service.ts"
export { type CheckReport, type VerifyReport, verifyText } from "./platform/audit/report.ts"
export { verify } from "./verify.ts"
