/** Completes the interface `DB`: each module merges its tables into the platform's. */
import "./modules/auth/tables.ts"
import "./modules/catalog/tables.ts"
import "./modules/coupons/tables.ts"
import "./modules/orders/tables.ts"
import "./modules/payments/tables.ts"
import "./modules/points/tables.ts"
import "./modules/webhooks/tables.ts"
