-- A page of 50 payouts, from a random place on.
\set r random(1, :n)
SELECT * FROM orders WHERE merchant_id = :merchant::uuid AND kind = 'payout'
    AND order_id < ('018bcfe56800' || lpad(to_hex(:r::bigint), 20, '0'))::uuid
ORDER BY order_id DESC LIMIT 50;
