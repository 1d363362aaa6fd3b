-- One order by its trade id, at random.
\set r random(1, :n)
SELECT * FROM orders WHERE merchant_id = :merchant::uuid AND trade_id = 'seed-' || :r::bigint;
