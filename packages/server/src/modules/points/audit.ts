import { type AnswerRule, type Check, hex } from "../../platform/audit/check.ts"

/** What belongs to a user is checked with them. */
const USERS = { table: "users", column: "id" }

/** Balances against their ledger, and the ledger against accounts and users. */
export const pointChecks: ReadonlyArray<Check> = [
  {
    name: "balances",
    promise: "the balance of every account is the sum of its ledger, and never below 0",
    countSql: "SELECT COUNT(*) AS n FROM point_accounts",
    portions: USERS,
    problemsSql: `
      SELECT ${hex("a.user_id")} AS \`user\`, a.balance, CAST(COALESCE(SUM(l.delta), 0) AS SIGNED) AS ledger
      FROM point_accounts a LEFT JOIN point_ledger l ON l.user_id = a.user_id
      WHERE WITHIN(a.user_id)
      GROUP BY a.user_id, a.balance HAVING a.balance < 0 OR COALESCE(SUM(l.delta), 0) <> a.balance`
  },
  {
    name: "point ledger",
    promise: "every row of the ledger continues the one before it, and belongs to an account",
    countSql: "SELECT COUNT(*) AS n FROM point_ledger",
    portions: USERS,
    problemsSql: `
      SELECT id, ${hex("user_id")} AS \`user\`, delta, balance_after, CAST(running AS SIGNED) AS running FROM (
        SELECT l.id, l.user_id, l.delta, l.balance_after, a.user_id AS account,
          SUM(l.delta) OVER (PARTITION BY l.user_id ORDER BY l.id) AS running
        FROM point_ledger l LEFT JOIN point_accounts a ON a.user_id = l.user_id WHERE WITHIN(l.user_id)
      ) ledger WHERE account IS NULL OR running <> balance_after`
  },
  {
    name: "spent points",
    promise: "what every account has spent is the sum of its payments and refunds",
    countSql: "SELECT COUNT(*) AS n FROM point_accounts",
    portions: USERS,
    problemsSql: `
      SELECT ${hex("a.user_id")} AS \`user\`, a.spent, CAST(COALESCE(SUM(l.delta), 0) AS SIGNED) AS ledger
      FROM point_accounts a
        LEFT JOIN point_ledger l ON l.user_id = a.user_id AND l.kind IN ('payment', 'refund')
      WHERE WITHIN(a.user_id)
      GROUP BY a.user_id, a.spent HAVING COALESCE(SUM(l.delta), 0) <> -a.spent`
  },
  {
    name: "accounts",
    promise: "every user has an account, every account a user",
    countSql: "SELECT COUNT(*) AS n FROM users",
    problemsSql: `
      SELECT ${hex("u.id")} AS \`user\`, 'no account' AS problem FROM users u
        LEFT JOIN point_accounts a ON a.user_id = u.id WHERE a.user_id IS NULL
      UNION ALL
      SELECT ${hex("a.user_id")}, 'no user' FROM point_accounts a
        LEFT JOIN users u ON u.id = a.user_id WHERE u.id IS NULL`
  }
]

/** A top-up's answer names no row, so their number is compared: a user has at least as many top-ups as answers. */
export const pointAnswers: ReadonlyArray<AnswerRule> = [
  {
    procedure: "points.charge",
    isWrong: `(SELECT COUNT(*) FROM point_ledger l WHERE l.user_id = k.user_id AND l.kind = 'charge')
            < (SELECT COUNT(*) FROM idempotency_keys c WHERE c.user_id = k.user_id AND c.procedure_path = 'points.charge'
                AND JSON_EXTRACT(c.answer, '$.success') IS NOT NULL)`
  }
]
