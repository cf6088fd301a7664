import { auditHashSql } from "../src/platform/audit-trail/entry.ts"

/** Statements that damage the audit trail, and what they do to it. `verify` has to report each. */
export const auditDamages: ReadonlyArray<readonly [damage: string, statements: ReadonlyArray<string>]> = [
  ["another time", ["UPDATE audit_trail SET at = at + INTERVAL 1 SECOND WHERE position = 2"]],
  ["another actor", ["UPDATE audit_trail SET actor_id = REPEAT('x', 16) WHERE position = 2"]],
  ["a nameless actor", ["UPDATE audit_trail SET actor_id = NULL WHERE position = 2"]],
  ["another session", ["UPDATE audit_trail SET session_id = 'x' WHERE position = 2"]],
  ["another address", ["UPDATE audit_trail SET address = '10.0.0.1' WHERE position = 2"]],
  ["another request", ["UPDATE audit_trail SET request_id = 'x' WHERE position = 2"]],
  ["another procedure", ["UPDATE audit_trail SET procedure_path = 'x' WHERE position = 2"]],
  ["another subject", ["UPDATE audit_trail SET subject = 'x' WHERE position = 2"]],
  ["another state before", ["UPDATE audit_trail SET state_before = '{}' WHERE position = 2"]],
  ["another state after", ["UPDATE audit_trail SET state_after = '{}' WHERE position = 2"]],
  ["another hash", ["UPDATE audit_trail SET hash = REPEAT('x', 32) WHERE position = 2"]],
  [
    "another subject, with a hash that fits it",
    [
      "UPDATE audit_trail SET subject = 'x' WHERE chain = 0 AND position = 2",
      `UPDATE audit_trail e JOIN (SELECT * FROM audit_trail) p ON p.chain = e.chain AND p.position = e.position - 1
            SET e.hash = ${auditHashSql} WHERE e.chain = 0 AND e.position = 2`
    ]
  ],
  [
    "an entry in another chain",
    ["UPDATE audit_trail SET chain = 1, position = 500 WHERE chain = 0 AND position = 2"]
  ],
  ["a missing entry", ["DELETE FROM audit_trail WHERE position = 2"]],
  ["a missing beginning", ["DELETE FROM audit_trail WHERE position = 1"]],
  ["a missing end", ["DELETE FROM audit_trail ORDER BY position DESC LIMIT 1"]],
  ["an empty trail", ["DELETE FROM audit_trail"]],
  [
    "two entries in each other's place",
    [
      "UPDATE audit_trail SET position = 9000 WHERE position = 2",
      "UPDATE audit_trail SET position = 2 WHERE position = 3",
      "UPDATE audit_trail SET position = 3 WHERE position = 9000"
    ]
  ],
  [
    "an entry that nobody chained",
    [
      "INSERT INTO audit_trail (chain, position, at, procedure_path, subject, hash) SELECT 0, MAX(position) + 1, NOW(3), 'x', 'x', REPEAT('x', 32) FROM audit_trail WHERE chain = 0"
    ]
  ],
  ["a head that was moved", ["UPDATE audit_heads SET position = position - 1 WHERE position > 0"]],
  ["a missing head", ["DELETE FROM audit_heads WHERE chain = 3"]]
]
