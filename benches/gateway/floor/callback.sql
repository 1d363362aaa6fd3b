-- What a callback that ends a payout writes, in the gateway's schema: the order's change (with its triggers: the books), step, event,
-- report, and the task's end, in one statement. The orders were seeded; each is ended once.
\set i :i + 1
\set k :n + :client_id * :each + :i
WITH o AS (
    UPDATE orders SET status = 'succeeded', stage = NULL, sequence = sequence + 1, provider_reference = '7781', fee = 0, is_final = true,
        final_at = now(), updated_at = now()
    WHERE merchant_id = :merchant::uuid AND order_id = ('018bcfe56800' || lpad(to_hex(:k::bigint), 20, '0'))::uuid
    RETURNING order_id, sequence
), s AS (
    INSERT INTO steps (merchant_id, order_id, sequence, status, channel, reason, report_id, created_at)
    SELECT :merchant::uuid, order_id, sequence, 'succeeded', 'callback', 'the callback says paid', (:ms::text || '3' || lpad(to_hex(:k::bigint), 19, '0'))::uuid, now() FROM o
), e AS (
    INSERT INTO events (merchant_id, event_id, event_type, order_id, sequence, body, created_at)
    SELECT :merchant::uuid, (:ms::text || '2' || lpad(to_hex(:k::bigint), 19, '0'))::uuid, 'payout.succeeded', order_id, sequence, '{"type": "payout.queued", "timestamp": "2026-01-31T12:00:00.123456Z", "sequence": 1, "data": {"id": "pay_0198f2a74b1c7d3e9f00112233445566", "object": "payout", "trade_id": "floor-0001-000000000001", "provider": "fomo", "status": "queued", "stage": null, "coin": "usdt", "amount": "12.5", "amount_received": "0", "amount_confirmed": "0", "fee": null, "amount_state": "none", "late": false, "customer": null, "destination": {"type": "fomo_user", "user_id": "42"}, "next_action": null, "checkout_url": null, "provider_reference": null, "txid": null, "confirmations": null, "failure": null, "is_final": false, "final_at": null, "expires_at": null, "sequence": 1, "metadata": null, "created_at": "2026-01-31T12:00:00.123456Z", "updated_at": "2026-01-31T12:00:00.123456Z"}}'::json, now() FROM o
), r AS (
    INSERT INTO reports (merchant_id, report_id, order_id, channel, digest, sealed_raw, summary, verdict, source, received_at)
    SELECT :merchant::uuid, (:ms::text || '3' || lpad(to_hex(:k::bigint), 19, '0'))::uuid, order_id, 'callback', decode(repeat('00', 32), 'hex'), decode(repeat('00', 200), 'hex'),
        '{"amount": "12.5", "coin": "5", "user": "42", "reference": "7781", "standing": "paid"}', 'step', '127.0.0.1', now() FROM o
)
DELETE FROM tasks WHERE merchant_id = :merchant::uuid AND order_id = ('018bcfe56800' || lpad(to_hex(:k::bigint), 20, '0'))::uuid;
