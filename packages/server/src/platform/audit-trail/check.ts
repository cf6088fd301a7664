import type { Check } from "../audit/check.ts"
import { AUDIT_CHAINS, auditHashSql, NO_HASH } from "./entry.ts"

/** A row that follows none is a gap before it, unless it is the first; one that was moved has the wrong number. */
export const auditTrailCheck: Check = {
  name: "audit trail",
  promise: "every entry is as it was written, at its place, and none is missing, the last ones included",
  countSql: "SELECT (SELECT COUNT(*) FROM audit_trail) + (SELECT COUNT(*) FROM audit_heads) AS n",
  problemsSql: `
      SELECT e.chain, e.position,
        IF(p.hash IS NULL AND e.position <> 1, 'the entry before it is missing', 'the entry was changed') AS problem
      FROM audit_trail e LEFT JOIN audit_trail p ON p.chain = e.chain AND p.position = e.position - 1
      WHERE (p.hash IS NULL AND e.position <> 1) OR e.hash <> ${auditHashSql}
      UNION ALL
      SELECT h.chain, h.position, 'the chain does not end with its head'
      FROM audit_heads h LEFT JOIN audit_trail e ON e.chain = h.chain AND e.position = h.position
      WHERE h.hash <> COALESCE(e.hash, UNHEX('${NO_HASH.toString("hex")}'))
        OR EXISTS (SELECT 1 FROM audit_trail l WHERE l.chain = h.chain AND l.position > h.position)
      UNION ALL
      SELECT NULL, COUNT(*), 'the heads of the chains are not complete' FROM audit_heads
      WHERE chain BETWEEN 0 AND ${AUDIT_CHAINS - 1} HAVING COUNT(*) <> ${AUDIT_CHAINS}`
}
