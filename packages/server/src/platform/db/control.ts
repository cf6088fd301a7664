import type { MysqlConnection } from "kysely"
import { type ConnectionOptions, createConnection, type RowDataPacket } from "mysql2"
import type { Socket } from "node:net"
import { SERVER, type Session, type SessionIdentity } from "./session.ts"
import { isReply, NoAnswer, Unreachable } from "./sql-errors.ts"

/** A connection that is opened for a question or a KILL is closed after this long, whatever happens. */
const ANSWER_WITHIN_MS = 2_000

/** A statement that waits for its answer for longer is asked about. */
const SLOW_MS = 1_000

/** The limit of a statement that no server can be asked about: it refuses new connections, or a proxy is in between. */
const UNKNOWN_LIMIT_MS = 10_000

type Ask = (sql: string) => Promise<ReadonlyArray<RowDataPacket>>

/** Rejects with `Unreachable`, or with the error reply of the server. */
const onOwnConnection = async <A>(options: ConnectionOptions, use: (ask: Ask) => Promise<A>): Promise<A> => {
  const connection = createConnection(options)
  connection.on("error", () => {})
  // Destroying the socket fails everything that waits on it, the handshake too.
  const { stream } = connection as unknown as { readonly stream: Socket }
  const timer = setTimeout(() => stream.destroy(new NoAnswer(ANSWER_WITHIN_MS)), ANSWER_WITHIN_MS)
  stream.once("close", () => clearTimeout(timer))
  const ask: Ask = (sql) =>
    new Promise((resolve, reject) =>
      connection.query<Array<RowDataPacket>>(sql, (error, rows) =>
        error ? reject(isReply(error) ? error : new Unreachable(error)) : resolve(rows)
      )
    )
  try {
    return await use(ask)
  } finally {
    connection.destroy()
  }
}

/** Tells slow statements from silent connections. */
export interface Watch {
  /** Whether a look is worth a connection. */
  readonly hasReason: () => boolean
  /**
   * Asks the server, over a new connection, which sessions work on their statements, and destroys those that do not: their
   * answer, or their question, was lost. Ends what is left of destroyed sessions, which may hold row locks. Rejects with
   * `Unreachable` when the server does not answer.
   */
  readonly look: () => Promise<void>
  /** Destroys every session with a slow statement, without asking. */
  readonly destroySlow: () => void
  /** Ends the statement that a session works on, or else the session. */
  readonly cancel: (id: number) => Promise<void>
}

export const makeWatch = (
  options: ConnectionOptions,
  sessions: ReadonlySet<Session>,
  ghosts: Map<number, SessionIdentity>
): Watch => {
  /** The statement that a session was not working on at the last look; its answer may just have been on the way. */
  const suspects = new WeakMap<Session, Session["oldest"]>()

  const slow = (limitMs = SLOW_MS) => [...sessions].filter(({ waitsMs }) => waitsMs >= limitMs)
  const destroySlow = (limitMs = SLOW_MS, except: ReadonlyArray<Session> = []) => {
    for (const session of slow(limitMs)) if (!except.includes(session)) session.destroy()
  }

  const judge = (session: Session, isWorking: boolean) => {
    const isSuspect = session.oldest !== undefined && suspects.get(session) === session.oldest
    if (!isWorking && isSuspect) session.destroy()
    suspects.set(session, isWorking ? undefined : session.oldest)
  }

  const lookAt = async (ask: Ask) => {
    const [answer] = await ask(`SELECT ${SERVER} AS server`)
    const asked = slow().filter(({ identity }) => identity?.server === answer?.["server"])
    const ids = [0, ...asked.map(({ id }) => id), ...ghosts.keys()]
    const known = await ask(`${SESSIONS} WHERE id IN (${ids.join()})`)
    const rowOf = (id: number, { peer, server }: SessionIdentity) =>
      known.find((row) => row["id"] === id && row["peer"] === peer && row["server"] === server)
    for (const session of asked) {
      const row = session.identity && rowOf(session.id, session.identity)
      judge(session, row !== undefined && row["state"] !== "Sleep")
    }
    for (const [id, identity] of ghosts) {
      if (rowOf(id, identity) !== undefined) await ask(`KILL ${id}`).catch(ignoreReply)
      ghosts.delete(id)
    }
    destroySlow(UNKNOWN_LIMIT_MS, asked)
  }

  return {
    hasReason: () => ghosts.size > 0 || slow().length > 0,
    destroySlow: () => destroySlow(),
    cancel: async (id) => {
      try {
        await onOwnConnection(options, (ask) => ask(`KILL QUERY ${id}`))
      } catch {
        for (const session of sessions) if (session.id === id) session.destroy()
      }
    },
    look: async () => {
      try {
        await onOwnConnection(options, lookAt)
      } catch (error) {
        // A server that refuses the connection is there; only its word about the sessions is missing.
        destroySlow(isReply(error) ? UNKNOWN_LIMIT_MS : SLOW_MS)
        if (!isReply(error)) throw error
      }
    }
  }
}

const SESSIONS = `SELECT id AS id, host AS peer, command AS state, ${SERVER} AS server FROM information_schema.processlist`

/** The session has ended meanwhile, or belongs to somebody else. */
const ignoreReply = (error: unknown) => {
  if (!isReply(error)) throw error
}

/**
 * Carries out Kysely's `kill query ...` for the statement of an interrupted request. Kysely keeps the session to itself
 * until this is done, so no other statement is hit.
 */
export const killConnection = ({ cancel }: Watch): MysqlConnection => ({
  config: {},
  threadId: 0,
  connect: (callback) => callback?.(undefined),
  query: (sql, _parameters, settle) => {
    void cancel(Number(/\d+$/.exec(sql)?.[0])).then(() => settle?.(undefined, []))
    return undefined as never
  },
  destroy: () => {}
})
