import type { FaultProxy, LogEntry } from "../faults/fault-proxy.ts"
import { faultProxy } from "../faults/proxy.ts"
import { ServiceNotControllable, type ServiceControls } from "../services/index.ts"
import type { HistoryFixture } from "./history-fixture.ts"
import type { Store, StoreFixtures } from "./stores.ts"

/** Faults of the server itself. Undone when the test ends. */
export type ServerFaults = Pick<ServiceControls, "freeze" | "thaw" | "kill" | "restart">

/** A proxy in front of the test's own database. */
export interface StoreFaults extends FaultProxy {
  /** The test's database through the proxy. Give this URL to the code under test. */
  readonly url: string
  /** Freezes, kills and restarts the server, which requires `isolation: "server"`. */
  readonly server: ServerFaults
}

/**
 * The fixture `faults`. A test with a rule (`cut`, `hold`) that never fired fails with `FaultsNotFired`, because it would
 * prove nothing.
 */
export type Faults<Stores extends Store> = { readonly [S in Stores]: StoreFaults } & {
  /** The seed of jitter and chance: `createTest({ faults: { seed } })`, else `HOLDFAST_SEED`, else 1. */
  readonly seed: number | string
}

/** Options of the fixture `faults`. */
export interface FaultsOptions {
  /** The seed of jitter and chance. Default: `HOLDFAST_SEED`, else 1. */
  readonly seed?: number | string
}

/** Rules that the test set up never fired. */
export class FaultsNotFired extends Error {
  readonly _tag = "FaultsNotFired"

  constructor(rules: ReadonlyArray<string>) {
    super(
      `faults that the test set up never happened, so it proves nothing (\`remove()\` takes one back):\n${rules.join("\n")}`
    )
    this.name = "FaultsNotFired"
  }
}

type Controls = Readonly<Record<Store, ServiceControls | undefined>>

/** The fixture, and what to do when the test has ended. */
export async function faultsFixture(
  stores: StoreFixtures,
  controls: Controls,
  history: HistoryFixture,
  { seed = process.env["HOLDFAST_SEED"] ?? 1 }: FaultsOptions
): Promise<{
  readonly faults: Faults<Store>
  readonly conclude: (testFailed: boolean) => Promise<void>
}> {
  const open = async (store: Store) => {
    const fixture = stores[store]
    return fixture && openFaults(store, fixture, controls[store], history, seed)
  }
  const [sql, redis] = await Promise.all([open("sql"), open("redis")])
  const opened = [sql, redis].filter((each) => each !== undefined)
  return {
    // Omitted stores are missing from the type that the test sees.
    faults: { seed, sql: sql?.faults, redis: redis?.faults } as Faults<Store>,
    conclude: async (testFailed) => {
      const overdue = opened.flatMap(({ store, faults }) => faults.overdue.map((rule) => `${store}: ${rule}`))
      await Promise.all(opened.map(({ close }) => close()))
      if (!testFailed && overdue.length > 0) throw new FaultsNotFired(overdue)
    }
  }
}

const protocols = { sql: "mysql", redis: "redis" } as const

async function openFaults(
  store: Store,
  { host, port, url, source }: NonNullable<StoreFixtures[Store]>,
  controls: ServiceControls | undefined,
  history: HistoryFixture,
  seed: number | string
) {
  const note = ({ what, detail }: LogEntry) => {
    if (!uneventful.has(what)) history.mark(`${store}: ${what} ${detail}`.trim())
  }
  const proxy = await faultProxy({ upstream: { host, port }, protocol: protocols[store], seed, onLog: note })
  const server = serverFaults(controls ?? notOurs(source), (what) => history.mark(`${store}: ${what}`))
  return {
    store,
    faults: Object.assign(proxy, { url: proxy.through(url), server: server.faults }),
    close: async () => {
      await proxy.close()
      await server.undo()
    }
  }
}

/** Entries of a proxy's log that are not faults. */
const uneventful = new Set(["accepts", "opened", "closed"])

/** The server's controls, which record each fault and remember how to undo it. */
function serverFaults(controls: ServerFaults, note: (what: string) => void) {
  let undo: (() => Promise<void>) | undefined
  const noted = async (what: string, act: () => Promise<void>, undoing: typeof undo) => {
    await act()
    undo = undoing
    note(what)
  }
  const faults: ServerFaults = {
    freeze: () =>
      noted(
        "server frozen",
        () => controls.freeze(),
        () => controls.thaw()
      ),
    thaw: () => noted("server thawed", () => controls.thaw(), undefined),
    kill: () =>
      noted(
        "server killed",
        () => controls.kill(),
        () => controls.restart()
      ),
    restart: () => noted("server restarted", () => controls.restart(), undefined)
  }
  return { faults, undo: async () => undo?.() }
}

/** Controls of a server that other tests use at the same time: they all reject. */
function notOurs(source: StoreSource): ServerFaults {
  const refuse = (operation: string) => () => {
    const reason = 'other tests use it meanwhile; take a server of your own with isolation: "server"'
    return Promise.reject(new ServiceNotControllable({ operation, source, reason }))
  }
  return { freeze: refuse("freeze"), thaw: refuse("thaw"), kill: refuse("kill"), restart: refuse("restart") }
}

type StoreSource = NonNullable<StoreFixtures[Store]>["source"]
