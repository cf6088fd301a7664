import { Effect, Schema } from "effect"
import { sql } from "kysely"
import { type Migration, Migrator } from "kysely/migration"
import { inspect } from "node:util"
import { databaseVersionOf, requireSupported } from "./supported-stores.ts"
import { Database } from "./database.ts"

export type Migrations = Readonly<Record<string, Migration>>

/** The database was migrated by a newer Holdfast. Running on it could break the newer version's guarantees. */
export class DatabaseIsNewer extends Schema.TaggedError<DatabaseIsNewer>()("DatabaseIsNewer", {
  unknownMigrations: Schema.Array(Schema.String)
}) {
  override get message() {
    return `the database was migrated by a newer version of Holdfast (it knows ${this.unknownMigrations.join(", ")}); upgrade this server or give it another database`
  }
}

/** The database lacks migrations of this version, whose statements would fail on it. */
export class DatabaseIsOlder extends Schema.TaggedError<DatabaseIsOlder>()("DatabaseIsOlder", {
  missingMigrations: Schema.Array(Schema.String)
}) {
  override get message() {
    return `the database lacks ${this.missingMigrations.join(", ")}; run \`holdfast migrate\` first, or set HOLDFAST_MIGRATE_AT_START=true`
  }
}

/** A migration failed. Its earlier statements stay applied; the next start resumes from there. */
export class MigrationFailed extends Schema.TaggedError<MigrationFailed>()("MigrationFailed", {
  migration: Schema.String,
  cause: Schema.Defect()
}) {
  override get message() {
    return `migration ${this.migration} failed: ${this.cause instanceof Error ? this.cause.message : inspect(this.cause)}`
  }
}

const refuseOldServer = Effect.gen(function* () {
  const { kysely } = yield* Database
  const { rows } = yield* Effect.tryPromise({
    try: () => sql<{ version: string }>`select version() as version`.execute(kysely),
    catch: (cause) => new MigrationFailed({ migration: "(reading the version)", cause })
  })
  yield* requireSupported(databaseVersionOf(rows[0]?.version ?? ""))
})

/** Kysely reports this state as corrupted migrations; the actual cause is a newer version. */
const refuseNewerDatabase = Effect.fnUntraced(function* (migrations: Migrations) {
  const applied = yield* appliedMigrations
  const unknownMigrations = applied.filter((name) => !(name in migrations))
  if (unknownMigrations.length > 0) return yield* new DatabaseIsNewer({ unknownMigrations })
  return applied
})

/** Refuses a database that this version cannot run on as it is. Changes nothing. */
export const requireMigrated = Effect.fnUntraced(function* (migrations: Migrations) {
  yield* refuseOldServer
  const applied = yield* refuseNewerDatabase(migrations)
  const missingMigrations = Object.keys(migrations).filter((name) => !applied.includes(name))
  if (missingMigrations.length > 0) return yield* new DatabaseIsOlder({ missingMigrations })
})

const appliedMigrations = Effect.gen(function* () {
  const { kysely } = yield* Database
  const applied = yield* Effect.tryPromise({
    try: async () => {
      const tables = await kysely.introspection.getTables({ withInternalKyselyTables: true })
      if (!tables.some((table) => table.name === "kysely_migration")) return []
      return await kysely
        .withTables<{ kysely_migration: { name: string } }>()
        .selectFrom("kysely_migration")
        .select("name")
        .execute()
    },
    catch: (cause) => new MigrationFailed({ migration: "(reading the state)", cause })
  })
  return applied.map(({ name }) => name)
})

/**
 * Brings the database up to date and returns the names of the migrations that ran. Any number of processes may call it
 * at once: Kysely's migrator holds a named lock of the database, so one process migrates and the others wait for it.
 *
 * @param migrations by name; they run in the order of their names.
 */
export const migrate = Effect.fnUntraced(function* (migrations: Migrations) {
  const { kysely } = yield* Database
  const migrator = new Migrator({ db: kysely, provider: { getMigrations: async () => migrations } })
  yield* refuseOldServer
  yield* refuseNewerDatabase(migrations)
  const { error, results = [] } = yield* Effect.tryPromise({
    try: () => migrator.migrateToLatest(),
    catch: (cause) => new MigrationFailed({ migration: "(reading the state)", cause })
  })
  const failed = results.find((result) => result.status === "Error")
  if (error !== undefined) {
    return yield* new MigrationFailed({
      migration: failed?.migrationName ?? "(reading the state)",
      cause: error
    })
  }
  return results.map((result) => result.migrationName)
})
