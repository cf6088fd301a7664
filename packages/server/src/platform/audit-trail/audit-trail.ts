import { Effect } from "effect"
import { readAt, tx } from "../db/transaction.ts"
import { auditHashOf, auditRowOf, chainOf, type NewAuditEntry } from "./entry.ts"

/**
 * Adds entries to the audit trail in the open transaction, after everything else that it locks. Each chain grows under
 * the row lock of its head, so its order is that of the commits, and the head tells when its end is cut off.
 */
export const appendToAuditTrail = Effect.fnUntraced(function* (entries: ReadonlyArray<NewAuditEntry>) {
  const chains = Map.groupBy(entries, chainOf)
  for (const chain of [...chains.keys()].toSorted((a, b) => a - b))
    yield* appendToChain(chain, chains.get(chain)!)
})

const appendToChain = Effect.fnUntraced(function* (chain: number, entries: ReadonlyArray<NewAuditEntry>) {
  const [head] = yield* lockHead(chain)
  if (head === undefined) return yield* Effect.die(new Error(`the audit chain ${chain} has no head`))
  let { hash } = head
  const rows = entries.map((entry, index) => {
    const row = auditRowOf(entry, { chain, position: head.position + 1 + index, at: head.read_at })
    hash = auditHashOf(hash, row)
    return { ...row, hash }
  })
  yield* tx.affected((q) => q.insertInto("audit_trail").values(rows))
  yield* moveHead(chain, head.position + entries.length, hash)
})

const lockHead = (chain: number) =>
  tx.timed((q) =>
    q.selectFrom("audit_heads").select(["position", "hash", readAt]).where("chain", "=", chain).forUpdate()
  )

const moveHead = (chain: number, position: number, hash: Buffer) =>
  tx.affected((q) => q.updateTable("audit_heads").set({ position, hash }).where("chain", "=", chain))
