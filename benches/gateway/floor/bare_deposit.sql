-- One order in two statements, and nothing that checks or reacts: the row with event and task, then its change with a second event.
\set n :n + 1
\set k :n + :client_id * 100000000
WITH o AS (
    INSERT INTO bare.orders (merchant_id, order_id, trade_id, kind, provider, status, sequence, coin, provider_coin_id, decimals, amount,
        tolerance, amount_received, amount_confirmed, late, customer, provider_user, expires_at, doubts, is_final, fingerprint, created_at, updated_at)
    VALUES (:merchant::uuid, (:ms::text || lpad(to_hex(:k::bigint), 20, '0'))::uuid, 'floor-' || to_hex(:k::bigint), 'deposit', 'fomo', 'created', 1, 'usdt', '5', 6, 12.5,
        0, 0, 0, false, 'ada', '42', now() + interval '15 minutes', 0, false, '\x0000000000000000000000000000000000000000000000000000000000000000', now(), now())
    RETURNING order_id
), e AS (
    INSERT INTO bare.events (merchant_id, event_id, event_type, order_id, sequence, body, created_at)
    SELECT :merchant::uuid, (:ms::text || '1' || lpad(to_hex(:k::bigint), 19, '0'))::uuid, 'deposit.created', order_id, 1, '{"type": "payout.queued", "timestamp": "2026-01-31T12:00:00.123456Z", "sequence": 1, "data": {"id": "pay_0198f2a74b1c7d3e9f00112233445566", "object": "payout", "trade_id": "floor-0001-000000000001", "provider": "fomo", "status": "queued", "stage": null, "coin": "usdt", "amount": "12.5", "amount_received": "0", "amount_confirmed": "0", "fee": null, "amount_state": "none", "late": false, "customer": null, "destination": {"type": "fomo_user", "user_id": "42"}, "next_action": null, "checkout_url": null, "provider_reference": null, "txid": null, "confirmations": null, "failure": null, "is_final": false, "final_at": null, "expires_at": null, "sequence": 1, "metadata": null, "created_at": "2026-01-31T12:00:00.123456Z", "updated_at": "2026-01-31T12:00:00.123456Z"}}'::json, now() FROM o
)
INSERT INTO bare.tasks (merchant_id, order_id, work, due_at, tries) SELECT :merchant::uuid, order_id, 'submit', now() + interval '30 seconds', 0 FROM o;
WITH o AS (
    UPDATE bare.orders SET status = 'awaiting_payment', sequence = 2, provider_reference = 'eb5512345678901234567890', updated_at = now(),
        next_action = '{"type": "confirm_in_app", "transfer_id": "eb5512345678901234567890", "expires_at": "2026-01-31T12:03:00Z"}'
    WHERE merchant_id = :merchant::uuid AND order_id = (:ms::text || lpad(to_hex(:k::bigint), 20, '0'))::uuid AND sequence = 1
    RETURNING order_id
), e AS (
    INSERT INTO bare.events (merchant_id, event_id, event_type, order_id, sequence, body, created_at)
    SELECT :merchant::uuid, (:ms::text || '2' || lpad(to_hex(:k::bigint), 19, '0'))::uuid, 'deposit.awaiting_payment', order_id, 2, '{"type": "payout.queued", "timestamp": "2026-01-31T12:00:00.123456Z", "sequence": 1, "data": {"id": "pay_0198f2a74b1c7d3e9f00112233445566", "object": "payout", "trade_id": "floor-0001-000000000001", "provider": "fomo", "status": "queued", "stage": null, "coin": "usdt", "amount": "12.5", "amount_received": "0", "amount_confirmed": "0", "fee": null, "amount_state": "none", "late": false, "customer": null, "destination": {"type": "fomo_user", "user_id": "42"}, "next_action": null, "checkout_url": null, "provider_reference": null, "txid": null, "confirmations": null, "failure": null, "is_final": false, "final_at": null, "expires_at": null, "sequence": 1, "metadata": null, "created_at": "2026-01-31T12:00:00.123456Z", "updated_at": "2026-01-31T12:00:00.123456Z"}}'::json, now() FROM o
)
UPDATE bare.tasks SET work = 'expire', due_at = now() + interval '15 minutes' WHERE merchant_id = :merchant::uuid AND order_id = (:ms::text || lpad(to_hex(:k::bigint), 20, '0'))::uuid;
