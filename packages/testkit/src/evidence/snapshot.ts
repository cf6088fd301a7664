/** Who answered: what the server says of itself. */
export interface ServerIdentity {
  readonly kind: "redis" | "valkey" | "mysql" | "mariadb"
  readonly version: string
  readonly host: string
  readonly port: number
  /** Redis: its run id, new with each start. MySQL: `server_uuid`; MariaDB: `server_uid`; empty where there is none. */
  readonly id: string
  readonly pid?: number
  readonly containerId?: string
}

/** What a server said at one moment. */
export interface Snapshot {
  readonly identity: ServerIdentity
  /** Changes when the server is started anew. */
  readonly life: string
  readonly uptimeSeconds: number
  readonly counts: ReadonlyMap<string, number>
}

/** What a server did between two snapshots. */
export interface ServerEvidence {
  readonly identity: ServerIdentity
  /** True when the server was started anew meanwhile; `commands` then counts from that start. */
  readonly restarted: boolean
  /** How often each command ran, without those of the measurement itself; commands that did not run are missing. */
  readonly commands: Readonly<Record<string, number>>
}

/** @param own what the measurement itself adds between two snapshots. */
export const compareSnapshots = (
  before: Snapshot,
  after: Snapshot,
  own: Readonly<Record<string, number>>
): ServerEvidence => {
  const restarted = before.life !== after.life || after.uptimeSeconds < before.uptimeSeconds
  const commands: Record<string, number> = {}
  for (const [name, count] of after.counts) {
    const earlier = restarted ? 0 : (before.counts.get(name) ?? 0)
    const ran = count - earlier - (restarted ? 0 : (own[name] ?? 0))
    if (ran > 0) commands[name] = ran
  }
  return { identity: after.identity, restarted, commands }
}
