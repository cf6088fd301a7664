import { evidence, type LiveEvidence } from "../evidence/evidence.ts"
import type { Store, StoreFixtures } from "./stores.ts"

/** The server counts the commands of other tests, too, so it cannot tell what this one did. */
export class EvidenceShared extends Error {
  readonly _tag = "EvidenceShared"

  constructor(stores: ReadonlyArray<Store>) {
    const options = stores.map((store) => `${store}: { isolation: "server" }`).join(", ")
    super(
      "the servers of the run count the commands of all tests, so they prove nothing about this one; " +
        `take servers of this file's own: createTest({ ${options} })`
    )
    this.name = "EvidenceShared"
  }
}

/**
 * Reads the counters of the test's servers now.
 *
 * A server of source `url` can never be one's own; there the counts are those of everybody who uses it.
 */
export function evidenceFixture({ sql, redis }: StoreFixtures): Promise<LiveEvidence> {
  const shared = (["sql", "redis"] as const).filter((store) => {
    const fixture = { sql, redis }[store]
    return fixture?.isolation === "database" && fixture.source !== "url"
  })
  if (shared.length > 0) throw new EvidenceShared(shared)
  return evidence({
    ...(sql === undefined ? {} : { sql }),
    ...(redis === undefined ? {} : { redis: withCredentials(redis) })
  }).start()
}

/** A Redis server of source `url` may want a password, which only its URL tells. */
const withCredentials = ({ url, host, port, identity }: NonNullable<StoreFixtures["redis"]>) => {
  const { username, password } = new URL(url)
  return {
    host,
    port,
    identity,
    ...(username === "" ? {} : { user: decodeURIComponent(username) }),
    ...(password === "" ? {} : { password: decodeURIComponent(password) })
  }
}
