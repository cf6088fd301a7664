import type { Role } from "@holdfast/domain"
import type { CreatedAt } from "../../platform/db/tables.ts"

declare module "../../platform/db/tables.ts" {
  interface DB {
    users: UsersTable
  }
}

interface UsersTable {
  id: Buffer
  email: string
  password_hash: string
  role: Role
  created_at: CreatedAt
}
