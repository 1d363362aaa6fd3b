-- Workers take many deliveries at once; receipts are booked by the statement.
-- Who sends what is on its way: one working of the queue by one process. As long as all that is on its way to an endpoint is its
-- own, it may keep more than it sends at once, and still no endpoint has more at once than it should. Absent: somebody else's.
ALTER TABLE webhook_queue ADD COLUMN taken_by uuid;

-- What the books should say of one receipt or order: of each leg how much, and whose it is.
CREATE TYPE booking AS (
    merchant_id uuid, provider text, coin text, receipt_id uuid, order_id uuid, trade_id text, at timestamptz, kind text,
    targets numeric[], parties text[]
);

-- Books what is missing until each leg of each comes to its target, all of them with one look and one write.
-- By the index, whatever the table was like when this was planned.
CREATE FUNCTION book_all(wanted booking[]) RETURNS void LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    IF wanted IS NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock_shared(1651470187, m.key)
    FROM (SELECT DISTINCT books_lock(w.merchant_id) AS key FROM unnest(wanted) w ORDER BY 1) m;
    -- A statement of its own, so that it sees who closed the books while we waited.
    INSERT INTO movements (merchant_id, movement_id, booked_at, kind, provider, coin, amount, customer, trade_id, order_id, receipt_id, leg)
    SELECT w.merchant_id, movement_id_of(c.at, coalesce(w.receipt_id, w.order_id), booked.times, t.leg), c.at,
           CASE WHEN t.leg = 3 THEN 'fee' WHEN was.amount = 0 THEN w.kind WHEN t.target = 0 THEN 'reversal' ELSE 'correction' END,
           w.provider, w.coin, t.target - was.amount, t.party, w.trade_id, w.order_id, w.receipt_id, t.leg
    FROM unnest(wanted) w
    CROSS JOIN LATERAL (
        SELECT count(*) AS times, ARRAY[coalesce(sum(m.amount) FILTER (WHERE m.leg = 1), 0), coalesce(sum(m.amount) FILTER (WHERE m.leg = 2), 0),
                                        coalesce(sum(m.amount) FILTER (WHERE m.leg = 3), 0)] AS amounts
        FROM movements m WHERE m.merchant_id = w.merchant_id AND coalesce(m.receipt_id, m.order_id) = coalesce(w.receipt_id, w.order_id)
    ) booked
    CROSS JOIN LATERAL (SELECT greatest(w.at, (SELECT b.closed_until FROM books b WHERE b.merchant_id = w.merchant_id)) AS at) c
    CROSS JOIN LATERAL unnest(w.targets, w.parties) WITH ORDINALITY AS t(target, party, leg)
    CROSS JOIN LATERAL (SELECT booked.amounts[t.leg] AS amount) was
    WHERE t.target <> was.amount;
END $$;

-- Receipts are booked by the statement, not by the row: a page of a hundred costs one look and one write. What is booked already
-- comes to its target, so that it does no harm to look at a receipt once more.
CREATE FUNCTION book_written_receipts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM book_all(array_agg(ROW(r.merchant_id, r.provider, r.coin, r.receipt_id, r.order_id, o.trade_id, r.updated_at, 'deposit',
        CASE WHEN r.progress = 'confirmed' THEN ARRAY[r.amount, 0, -coalesce(r.fee, 0)] ELSE ARRAY[0, 0, 0] END,
        ARRAY[r.customer, NULL, r.customer])::booking))
    FROM written r
    LEFT JOIN LATERAL (
        SELECT o.trade_id FROM orders o WHERE o.merchant_id = r.merchant_id AND o.order_id = r.order_id LIMIT 1) o ON true
    WHERE NOT r.unheard;
    RETURN NULL;
END $$;
DROP TRIGGER new_receipts_are_booked ON receipts;
DROP TRIGGER receipts_are_booked ON receipts;
CREATE TRIGGER new_receipts_are_booked AFTER INSERT ON receipts REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION book_written_receipts();
CREATE TRIGGER receipts_are_booked AFTER UPDATE ON receipts REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION book_written_receipts();

-- The primary key does as well, read from its end.
DROP INDEX receipts_newest_first;

-- In the order in which they are read, so that a page is read and not all that waits.
DROP INDEX receipts_to_be_heard;
CREATE INDEX receipts_to_be_heard ON receipts (merchant_id, provider, length(provider_receipt_id), provider_receipt_id) WHERE unheard;

-- Orders are booked one by one still: most writes of orders move nothing, and a row's condition is cheaper than a look.
CREATE OR REPLACE FUNCTION book_order(o orders) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    went numeric := CASE WHEN o.status = 'succeeded' THEN o.amount ELSE 0 END;
    fee  numeric := least(went, coalesce(o.fee, 0));
    came numeric := CASE WHEN o.kind = 'transfer' THEN went - fee ELSE 0 END;
BEGIN
    PERFORM book_all(ARRAY[ROW(o.merchant_id, o.provider, o.coin, NULL, o.order_id, o.trade_id, o.updated_at, o.kind,
        ARRAY[fee - went, came, -fee], ARRAY[o.customer, o.destination->>'customer', o.customer])::booking]);
END $$;
DROP FUNCTION book_new_receipt();
DROP FUNCTION book_receipt(receipts);
DROP FUNCTION book(uuid, text, text, uuid, uuid, text, timestamptz, text, numeric[], text[]);
