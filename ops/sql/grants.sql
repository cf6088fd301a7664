-- The user of `holdfast serve`: no table can be made, changed or dropped, and what is written once stays as it is. Run this as
-- an administrator after the first `holdfast migrate`, and again after one that adds tables. Replace the password.
-- In MySQL a locking read needs UPDATE or DELETE as well.
CREATE USER IF NOT EXISTS 'holdfast_server'@'%' IDENTIFIED BY 'change-me';
GRANT SELECT ON holdfast.kysely_migration TO 'holdfast_server'@'%';
GRANT SELECT ON holdfast.kysely_migration_lock TO 'holdfast_server'@'%';
GRANT SELECT, UPDATE ON holdfast.audit_heads TO 'holdfast_server'@'%';
GRANT SELECT, INSERT ON holdfast.audit_trail TO 'holdfast_server'@'%';
GRANT SELECT, UPDATE ON holdfast.cache_trust TO 'holdfast_server'@'%';
GRANT SELECT, INSERT ON holdfast.coupon_ledger TO 'holdfast_server'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON holdfast.coupon_tickets TO 'holdfast_server'@'%';
GRANT SELECT, INSERT, UPDATE ON holdfast.coupons TO 'holdfast_server'@'%';
GRANT SELECT, INSERT, DELETE ON holdfast.idempotency_keys TO 'holdfast_server'@'%';
GRANT SELECT, UPDATE ON holdfast.installation TO 'holdfast_server'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON holdfast.lock_fences TO 'holdfast_server'@'%';
GRANT SELECT, INSERT ON holdfast.order_items TO 'holdfast_server'@'%';
GRANT SELECT, INSERT, UPDATE ON holdfast.orders TO 'holdfast_server'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON holdfast.outbox TO 'holdfast_server'@'%';
GRANT SELECT, INSERT ON holdfast.payments TO 'holdfast_server'@'%';
GRANT SELECT, INSERT, UPDATE ON holdfast.point_accounts TO 'holdfast_server'@'%';
GRANT SELECT, INSERT ON holdfast.point_ledger TO 'holdfast_server'@'%';
GRANT SELECT, INSERT, UPDATE ON holdfast.products TO 'holdfast_server'@'%';
GRANT SELECT, INSERT ON holdfast.refunds TO 'holdfast_server'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON holdfast.set_aside TO 'holdfast_server'@'%';
GRANT SELECT, INSERT ON holdfast.stock_ledger TO 'holdfast_server'@'%';
GRANT SELECT, INSERT, UPDATE ON holdfast.user_coupons TO 'holdfast_server'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON holdfast.user_sessions TO 'holdfast_server'@'%';
GRANT SELECT, INSERT, UPDATE ON holdfast.users TO 'holdfast_server'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON holdfast.webhook_deliveries TO 'holdfast_server'@'%';
GRANT SELECT, INSERT, UPDATE ON holdfast.worker_turns TO 'holdfast_server'@'%';
