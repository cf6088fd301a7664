import { Effect, Schema } from "effect"
import { sql } from "kysely"
import { Migrator } from "kysely/migration"
import { inspect } from "node:util"
import { databaseVersionOf, requireSupported } from "./supported-stores.ts"
import { Database } from "./database.ts"
import { firstTables } from "../../migrations/0001-first-tables.ts"
import { coupons } from "../../migrations/0002-coupons.ts"
import { lifecycle } from "../../migrations/0003-lifecycle.ts"
import { ticketsOfUsers } from "../../migrations/0004-tickets-of-users.ts"

/** In the order in which they run. A name never changes once it was released. */
const migrations = {
  "0001_first_tables": firstTables,
  "0002_coupons": coupons,
  "0003_lifecycle": lifecycle,
  "0004_tickets_of_users": ticketsOfUsers
}

/** The database was migrated by a newer Holdfast. Running on it could break what the newer version promises. */
export class DatabaseIsNewer extends Schema.TaggedError<DatabaseIsNewer>()("DatabaseIsNewer", {
  unknownMigrations: Schema.Array(Schema.String)
}) {
  override get message() {
    return `the database was migrated by a newer version of Holdfast (it knows ${this.unknownMigrations.join(", ")}); upgrade this server or give it another database`
  }
}

/** A migration failed. What it did before stays; the next start goes on from there. */
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

/** Kysely would call this state corrupted; what it means is that somebody else's version is ahead of ours. */
const refuseNewerDatabase = Effect.gen(function* () {
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
  const unknownMigrations = applied.map((row) => row.name).filter((name) => !(name in migrations))
  if (unknownMigrations.length > 0) return yield* new DatabaseIsNewer({ unknownMigrations })
})

/**
 * Brings the database up to date and returns the names of the migrations that ran. Any number of processes may start
 * at once: Kysely's migrator holds a named lock of the database, so one migrates and the others find it done.
 */
export const migrate = Effect.gen(function* () {
  const { kysely } = yield* Database
  const migrator = new Migrator({ db: kysely, provider: { getMigrations: async () => migrations } })
  yield* refuseOldServer
  yield* refuseNewerDatabase
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
