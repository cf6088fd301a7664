import { evidence, type LiveEvidence } from "../evidence/evidence.ts"
import type { Store, StoreFixtures } from "./stores.ts"

/** The server's counters include the commands of other tests, so they prove nothing about this one. */
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
 * Reads the counters of the test's servers now. On a server of source `url`, which is always shared, they include the
 * commands of all its users.
 *
 * @throws EvidenceShared on other shared servers
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

/** Only the URL contains the credentials of a Redis server of source `url`. */
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
