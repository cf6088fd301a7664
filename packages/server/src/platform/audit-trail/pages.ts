import { type AuditEntry, contract, type DecodedInputOf } from "@holdfast/domain"
import { Effect, Schema } from "effect"
import type { Selectable } from "kysely"
import { db } from "../db/database.ts"
import { bytesOf, userIdOf } from "../db/ids.ts"
import { makePages } from "../db/pagination.ts"
import type { DB } from "../db/tables.ts"
import { query } from "../trpc/handler.ts"

/** The order of the list: newest first, and within one moment the order of the chains. */
const pages = makePages(Schema.Struct({ atMs: Schema.Int, chain: Schema.Int, position: Schema.Int }))

export const auditTrail = query(contract.admin.auditTrail, ({ input }) =>
  pages(
    input,
    (before, limit) => listEntries(input, before, limit),
    ({ at, chain, position }) => ({ atMs: at.getTime(), chain, position })
  )
)

type Filter = DecodedInputOf<typeof contract.admin.auditTrail>

const listEntries = (
  { actorId, from, procedure, subject, until }: Filter,
  before: { readonly atMs: number; readonly chain: number; readonly position: number } | undefined,
  limit: number
) =>
  db
    .rows((q) => {
      let list = q
        .selectFrom("audit_trail")
        .selectAll()
        .orderBy("at", "desc")
        .orderBy("chain", "desc")
        .orderBy("position", "desc")
        .limit(limit)
      if (actorId !== undefined) list = list.where("actor_id", "=", bytesOf(actorId))
      if (procedure !== undefined) list = list.where("procedure_path", "=", procedure)
      if (subject !== undefined) list = list.where("subject", "=", subject)
      if (from !== undefined) list = list.where("at", ">=", from)
      if (until !== undefined) list = list.where("at", "<", until)
      if (before === undefined) return list
      const at = new Date(before.atMs)
      return list
        .where("at", "<=", at)
        .where((eb) =>
          eb.or([
            eb("at", "<", at),
            eb("chain", "<", before.chain),
            eb.and([eb("chain", "=", before.chain), eb("position", "<", before.position)])
          ])
        )
    })
    .pipe(Effect.map((rows) => rows.map(entryOf)))

const entryOf = (row: Selectable<DB["audit_trail"]>): AuditEntry => ({
  chain: row.chain,
  position: row.position,
  at: row.at,
  ...(row.actor_id === null ? {} : { actorId: userIdOf(row.actor_id) }),
  ...(row.session_id === null ? {} : { sessionId: row.session_id }),
  ...(row.address === null ? {} : { address: row.address }),
  ...(row.request_id === null ? {} : { requestId: row.request_id }),
  procedure: row.procedure_path,
  subject: row.subject,
  ...(row.state_before === null ? {} : { before: stateOf(row.state_before) }),
  ...(row.state_after === null ? {} : { after: stateOf(row.state_after) })
})

const stateOf = (json: string) => JSON.parse(json) as NonNullable<AuditEntry["before"]>
