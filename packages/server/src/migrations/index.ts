import type { Migrations } from "../platform/db/migrate.ts"
import { firstTables } from "./0001-first-tables.ts"
import { coupons } from "./0002-coupons.ts"
import { lifecycle } from "./0003-lifecycle.ts"
import { ticketsOfUsers } from "./0004-tickets-of-users.ts"
import { eventOrder } from "./0005-event-order.ts"
import { setAside } from "./0006-set-aside.ts"
import { oneMeaning } from "./0007-one-meaning.ts"
import { cacheTrust } from "./0008-cache-trust.ts"
import { oneAside } from "./0009-one-aside.ts"
import { eventOrigins } from "./0010-event-origins.ts"
import { auditTrail } from "./0011-audit-trail.ts"
import { unpaidOrders } from "./0012-unpaid-orders.ts"
import { sessions } from "./0013-sessions.ts"
import { eventTraces } from "./0014-event-traces.ts"
import { epochs } from "./0015-epochs.ts"
import { settledTickets } from "./0016-settled-tickets.ts"

/** In the order in which they run. The name of a released migration never changes. */
export const migrations: Migrations = {
  "0001_first_tables": firstTables,
  "0002_coupons": coupons,
  "0003_lifecycle": lifecycle,
  "0004_tickets_of_users": ticketsOfUsers,
  "0005_event_order": eventOrder,
  "0006_set_aside": setAside,
  "0007_one_meaning": oneMeaning,
  "0008_cache_trust": cacheTrust,
  "0009_one_aside": oneAside,
  "0010_event_origins": eventOrigins,
  "0011_audit_trail": auditTrail,
  "0012_unpaid_orders": unpaidOrders,
  "0013_sessions": sessions,
  "0014_event_traces": eventTraces,
  "0015_epochs": epochs,
  "0016_settled_tickets": settledTickets
}
