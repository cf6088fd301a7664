import type { MysqlPool } from "kysely"
import { createPool, type Pool, type PoolConnection, type PoolOptions } from "mysql2"
import { SERVER, Session, type SessionIdentity, type SessionListener } from "./session.ts"
import { isConnectionFailure, NoAnswer, Unreachable } from "./sql-errors.ts"

/** A connection that was quiet for longer has to answer a ping before it is used. */
const TRUSTED_MS = 1_000
const PING_WITHIN_MS = 1_000
const SET_UP_WITHIN_MS = 2_000
const END_WITHIN_MS = 1_000

/** Destroyed sessions to be ended on the server. More are left to the server's own time-outs. */
const MAXIMUM_GHOSTS = 1_000

/**
 * READ COMMITTED: at REPEATABLE READ the first plain SELECT fixes the snapshot, and a transaction that waited for a row
 * would decide on outdated data. Strict mode refuses values that do not fit instead of truncating them.
 */
const sessionStatements = [
  "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
  "SET SESSION sql_mode = 'STRICT_ALL_TABLES,ONLY_FULL_GROUP_BY,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE', time_zone = '+00:00', innodb_lock_wait_timeout = 5"
]
const IDENTITY = `SELECT id AS id, host AS peer, ${SERVER} AS server FROM information_schema.processlist WHERE id = CONNECTION_ID()`

export interface GuardedPool {
  readonly pool: MysqlPool
  /** All open sessions. */
  readonly sessions: ReadonlySet<Session>
  /** Those that nobody uses. */
  readonly idle: ReadonlySet<Session>
  /** Sessions that were destroyed here and may still live on the server, by id. */
  readonly ghosts: Map<number, SessionIdentity>
}

/**
 * The driver's pool, which hands out only connections that answer. Getting one takes `waitMs` at most; a connection that
 * comes later goes back.
 */
export const guardedPool = (options: PoolOptions, waitMs: number): GuardedPool => {
  const driver = createPool(options)
  const tracked = trackSessions()
  const acquire = makeAcquire(driver, tracked)
  const { ghosts, idle, sessions } = tracked
  const destroyAll = () => {
    for (const session of sessions) session.destroy()
  }
  const pool: MysqlPool = {
    getConnection: (settle) => {
      const acquiring = acquire()
      within(acquiring, waitMs).then(
        ({ kysely }) => settle(null, kysely),
        (error) => {
          settle(error, undefined as never)
          acquiring.then((late) => late.release()).catch(() => {})
        }
      )
    },
    // A silent connection never parts from the server.
    end: (settle) => {
      const ended = new Promise<void>((resolve) => driver.end(() => resolve()))
      within(ended, END_WITHIN_MS)
        .catch(destroyAll)
        .finally(() => settle(undefined))
    }
  }
  return { pool, sessions, idle, ghosts }
}

interface TrackedSessions {
  readonly sessions: Set<Session>
  /** Those that nobody uses. */
  readonly idle: Set<Session>
  readonly ghosts: Map<number, SessionIdentity>
  readonly listener: SessionListener
}

const trackSessions = (): TrackedSessions => {
  const sessions = new Set<Session>()
  const idle = new Set<Session>()
  const ghosts = new Map<number, SessionIdentity>()
  const listener: SessionListener = {
    onIdle: (session) => void idle.add(session),
    onDestroy: ({ id, identity }) => {
      if (identity !== undefined && ghosts.size < MAXIMUM_GHOSTS) ghosts.set(id, identity)
    },
    onClose: (session) => {
      sessions.delete(session)
      idle.delete(session)
    }
  }
  return { sessions, idle, ghosts, listener }
}

const makeAcquire = (driver: Pool, { idle, listener, sessions }: TrackedSessions) => {
  const known = new WeakMap<PoolConnection, Session>()

  const open = async (connection: PoolConnection): Promise<Session> => {
    const session = new Session(connection, listener)
    known.set(connection, session)
    sessions.add(session)
    try {
      await within(setUp(session), SET_UP_WITHIN_MS)
      return session
    } catch (error) {
      session.destroy()
      throw connectFailure(error)
    }
  }

  /** Whether a pooled connection still answers. One that does not takes along all that were quiet as long. */
  const isAlive = async (session: Session): Promise<boolean> => {
    if (session.isOver || session.quietMs < TRUSTED_MS) return !session.isOver
    try {
      await within(session.ping(), PING_WITHIN_MS)
      return true
    } catch {
      for (const other of idle) if (other.quietMs >= TRUSTED_MS) other.destroy()
      return false
    }
  }

  return async (): Promise<Session> => {
    for (;;) {
      const connection = await connectionOf(driver)
      const session = known.get(connection)
      if (session === undefined) return open(connection)
      idle.delete(session)
      if (await isAlive(session)) return session
      session.destroy()
    }
  }
}

const setUp = async (session: Session): Promise<void> => {
  for (const statement of sessionStatements) await session.query(statement)
  const [row] = await session.query(IDENTITY)
  // Behind a proxy that shares connections the server knows the session by another id.
  if (row?.["id"] === session.id)
    session.identity = { peer: String(row["peer"]), server: String(row["server"]) }
}

const connectionOf = (driver: Pool): Promise<PoolConnection> =>
  new Promise((resolve, reject) =>
    driver.getConnection((error, connection) => (error ? reject(connectFailure(error)) : resolve(connection)))
  )

const connectFailure = (error: unknown) => (isConnectionFailure(error) ? new Unreachable(error) : error)

/** Rejects with `NoAnswer` after `waitMs`. A busy event loop runs late timers before it reads answers that are there. */
const within = <A>(answer: Promise<A>, waitMs: number): Promise<A> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => setImmediate(() => reject(new NoAnswer(waitMs))), waitMs)
    answer.then(resolve, reject).finally(() => clearTimeout(timer))
  })
