import { Effect, Schema } from "effect"

/** The oldest supported versions: older ones lack statements and commands that Holdfast uses. */
const OLDEST = { MySQL: [8, 4], MariaDB: [10, 11], Redis: [7, 0], Valkey: [7, 2] } as const

const Store = Schema.Literals(["MySQL", "MariaDB", "Redis", "Valkey"])

export interface StoreVersion {
  readonly store: typeof Store.Type
  /** Numbers separated by dots; empty when unknown. */
  readonly version: string
}

/** A store is older than the oldest supported version. Nothing was written to it. */
export class StoreTooOld extends Schema.TaggedError<StoreTooOld>()("StoreTooOld", {
  store: Store,
  version: Schema.String,
  oldest: Schema.String
}) {
  override get message() {
    return `${this.store} ${this.version} is too old; Holdfast needs ${this.store} ${this.oldest} or newer`
  }
}

/** @param text what `SELECT VERSION()` answers, such as `9.7.0` or `10.11.6-MariaDB-0+deb12u1` */
export const databaseVersionOf = (text: string): StoreVersion => ({
  store: text.includes("MariaDB") ? "MariaDB" : "MySQL",
  // Old clients were told 5.5.5 before MariaDB's own number.
  version: numbersOf(text.replace(/^5\.5\.5-/, ""))
})

/** @param info what `INFO server` answers; Valkey names itself beside the Redis that it is compatible with */
export const redisVersionOf = (info: string): StoreVersion => {
  const valkey = /^valkey_version:(.+)$/m.exec(info)?.[1]
  const version = numbersOf(valkey ?? /^redis_version:(.+)$/m.exec(info)?.[1] ?? "")
  return { store: valkey === undefined ? "Redis" : "Valkey", version }
}

const numbersOf = (text: string): string => /^\d+(?:\.\d+)*/.exec(text)?.[0] ?? ""

/** A store without a version is accepted: it speaks the protocol and is none of the known ones. */
export const requireSupported = ({ store, version }: StoreVersion): Effect.Effect<void, StoreTooOld> => {
  const [oldestMajor, oldestMinor] = OLDEST[store]
  const [major = 0, minor = 0] = version.split(".").map(Number)
  const isOld = version !== "" && (major < oldestMajor || (major === oldestMajor && minor < oldestMinor))
  return isOld
    ? Effect.fail(new StoreTooOld({ store, version, oldest: `${oldestMajor}.${oldestMinor}` }))
    : Effect.void
}
