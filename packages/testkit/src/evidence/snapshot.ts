/** What the server reports about itself. */
export interface ServerIdentity {
  readonly kind: "redis" | "valkey" | "mysql" | "mariadb"
  readonly version: string
  readonly host: string
  readonly port: number
  /** Redis: the run id, new with each start. MySQL: `server_uuid`. MariaDB: `server_uid`. Empty where there is none. */
  readonly id: string
  readonly pid?: number
  readonly containerId?: string
}

/** A server's counters at one moment. */
export interface Snapshot {
  readonly identity: ServerIdentity
  /** Changes when the server restarts. */
  readonly life: string
  readonly uptimeSeconds: number
  readonly counts: ReadonlyMap<string, number>
}

/** What a server did between two snapshots. */
export interface ServerEvidence {
  readonly identity: ServerIdentity
  /** Whether the server restarted meanwhile; `commands` then counts from the restart. */
  readonly restarted: boolean
  /** How often each command ran, without those of the measurement. Commands that did not run are missing. */
  readonly commands: Readonly<Record<string, number>>
}

/** @param own what the measurement itself adds between two snapshots */
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
