-- What creating a deposit writes, in the gateway's schema: order, step, event, task and attempt; then, of the wallet's answer, the
-- order's change, step, event, report, the attempt's end and the task. Two statements, each a transaction, as around the wallet's call.
\set n :n + 1
\set k :n + :client_id * 100000000
WITH o AS (
    INSERT INTO orders (merchant_id, order_id, trade_id, kind, provider, status, sequence, coin, provider_coin_id, decimals, amount,
        tolerance, amount_received, amount_confirmed, late, customer, provider_user, expires_at, doubts, is_final, fingerprint, created_at, updated_at)
    VALUES (:merchant::uuid, (:ms::text || lpad(to_hex(:k::bigint), 20, '0'))::uuid, 'floor-' || to_hex(:k::bigint), 'deposit', 'fomo', 'created', 1, 'usdt', '5', 6, 12.5,
        0, 0, 0, false, 'ada', '42', now() + interval '15 minutes', 0, false, '\x0000000000000000000000000000000000000000000000000000000000000000', now(), now())
    RETURNING order_id
), s AS (
    INSERT INTO steps (merchant_id, order_id, sequence, status, channel, reason, created_at)
    SELECT :merchant::uuid, order_id, 1, 'created', 'merchant', 'the merchant asked for it, by key_0198f2a74b1c7d3e9f00112233445566', now() FROM o
), e AS (
    INSERT INTO events (merchant_id, event_id, event_type, order_id, sequence, body, created_at)
    SELECT :merchant::uuid, (:ms::text || '1' || lpad(to_hex(:k::bigint), 19, '0'))::uuid, 'deposit.created', order_id, 1, '{"type": "payout.queued", "timestamp": "2026-01-31T12:00:00.123456Z", "sequence": 1, "data": {"id": "pay_0198f2a74b1c7d3e9f00112233445566", "object": "payout", "trade_id": "floor-0001-000000000001", "provider": "fomo", "status": "queued", "stage": null, "coin": "usdt", "amount": "12.5", "amount_received": "0", "amount_confirmed": "0", "fee": null, "amount_state": "none", "late": false, "customer": null, "destination": {"type": "fomo_user", "user_id": "42"}, "next_action": null, "checkout_url": null, "provider_reference": null, "txid": null, "confirmations": null, "failure": null, "is_final": false, "final_at": null, "expires_at": null, "sequence": 1, "metadata": null, "created_at": "2026-01-31T12:00:00.123456Z", "updated_at": "2026-01-31T12:00:00.123456Z"}}'::json, now() FROM o
), a AS (
    INSERT INTO attempts (merchant_id, attempt_id, order_id, state, started_at, leased_until)
    SELECT :merchant::uuid, order_id, order_id, 'open', now(), now() + interval '30 seconds' FROM o
)
INSERT INTO tasks (merchant_id, order_id, work, due_at, tries) SELECT :merchant::uuid, order_id, 'submit', now() + interval '30 seconds', 0 FROM o;
WITH o AS (
    UPDATE orders SET status = 'awaiting_payment', sequence = 2, provider_reference = 'eb5512345678901234567890', updated_at = now(),
        next_action = '{"type": "confirm_in_app", "transfer_id": "eb5512345678901234567890", "expires_at": "2026-01-31T12:03:00Z"}'
    WHERE merchant_id = :merchant::uuid AND order_id = (:ms::text || lpad(to_hex(:k::bigint), 20, '0'))::uuid AND sequence = 1
    RETURNING order_id
), e AS (
    INSERT INTO events (merchant_id, event_id, event_type, order_id, sequence, body, created_at)
    SELECT :merchant::uuid, (:ms::text || '2' || lpad(to_hex(:k::bigint), 19, '0'))::uuid, 'deposit.awaiting_payment', order_id, 2, '{"type": "payout.queued", "timestamp": "2026-01-31T12:00:00.123456Z", "sequence": 1, "data": {"id": "pay_0198f2a74b1c7d3e9f00112233445566", "object": "payout", "trade_id": "floor-0001-000000000001", "provider": "fomo", "status": "queued", "stage": null, "coin": "usdt", "amount": "12.5", "amount_received": "0", "amount_confirmed": "0", "fee": null, "amount_state": "none", "late": false, "customer": null, "destination": {"type": "fomo_user", "user_id": "42"}, "next_action": null, "checkout_url": null, "provider_reference": null, "txid": null, "confirmations": null, "failure": null, "is_final": false, "final_at": null, "expires_at": null, "sequence": 1, "metadata": null, "created_at": "2026-01-31T12:00:00.123456Z", "updated_at": "2026-01-31T12:00:00.123456Z"}}'::json, now() FROM o
), s AS (
    INSERT INTO steps (merchant_id, order_id, sequence, status, channel, reason, report_id, attempt_id, created_at)
    SELECT :merchant::uuid, order_id, 2, 'awaiting_payment', 'answer', 'accepted: the provider says awaiting', (:ms::text || '3' || lpad(to_hex(:k::bigint), 19, '0'))::uuid, order_id, now() FROM o
), r AS (
    INSERT INTO reports (merchant_id, report_id, order_id, channel, digest, sealed_raw, summary, verdict, received_at)
    SELECT :merchant::uuid, (:ms::text || '3' || lpad(to_hex(:k::bigint), 19, '0'))::uuid, order_id, 'answer', decode(repeat('00', 32), 'hex'), decode(repeat('00', 200), 'hex'),
        '{"outcome": "accepted", "detail": "the provider says awaiting"}', 'step', now() FROM o
), a AS (
    UPDATE attempts SET state = 'accepted', detail = 'the provider says awaiting', ended_at = now()
    WHERE merchant_id = :merchant::uuid AND attempt_id = (:ms::text || lpad(to_hex(:k::bigint), 20, '0'))::uuid
)
UPDATE tasks SET work = 'expire', due_at = now() + interval '15 minutes' WHERE merchant_id = :merchant::uuid AND order_id = (:ms::text || lpad(to_hex(:k::bigint), 20, '0'))::uuid;
