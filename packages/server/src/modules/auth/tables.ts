import type { Role } from "@holdfast/domain"
import type { Generated } from "kysely"
import type { CreatedAt } from "../../platform/db/tables.ts"

declare module "../../platform/db/tables.ts" {
  interface DB {
    users: UsersTable
    user_sessions: UserSessionsTable
  }
}

interface UsersTable {
  id: Buffer
  email: string
  password_hash: string
  role: Role
  created_at: CreatedAt
  /** A blocked user cannot log in. */
  blocked_at: Date | null
}

interface UserSessionsTable {
  id: Buffer
  user_id: Buffer
  /** Of its refresh tokens: rises with every exchange. Only the latest is good, for a moment also the one before. */
  generation: Generated<number>
  created_at: Date
  /** When the latest generation was issued. */
  last_used_at: Date
  expires_at: Date
  ended_at: Date | null
  address: string
  user_agent: string
}
