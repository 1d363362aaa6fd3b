-- The same columns as orders, events and tasks, with the same number of indexes, and nothing that checks or reacts.
CREATE SCHEMA IF NOT EXISTS bare;
CREATE TABLE IF NOT EXISTS bare.orders (LIKE public.orders);
CREATE UNIQUE INDEX IF NOT EXISTS bare_orders_1 ON bare.orders (merchant_id, order_id);
CREATE UNIQUE INDEX IF NOT EXISTS bare_orders_2 ON bare.orders (merchant_id, trade_id);
CREATE INDEX IF NOT EXISTS bare_orders_3 ON bare.orders (merchant_id, kind, order_id DESC);
CREATE INDEX IF NOT EXISTS bare_orders_4 ON bare.orders (merchant_id, customer, order_id DESC) WHERE customer IS NOT NULL;
CREATE INDEX IF NOT EXISTS bare_orders_5 ON bare.orders (merchant_id, customer, provider_coin_id) WHERE kind = 'deposit' AND NOT is_final;
CREATE TABLE IF NOT EXISTS bare.events (LIKE public.events INCLUDING DEFAULTS);
CREATE UNIQUE INDEX IF NOT EXISTS bare_events_1 ON bare.events (merchant_id, event_id);
CREATE TABLE IF NOT EXISTS bare.tasks (LIKE public.tasks INCLUDING DEFAULTS);
CREATE UNIQUE INDEX IF NOT EXISTS bare_tasks_1 ON bare.tasks (merchant_id, order_id);
-- The floor of a commit.
CREATE TABLE IF NOT EXISTS bare.one (id bigint NOT NULL);
