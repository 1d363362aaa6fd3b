-- The books: every movement of money, for ever, and what a statement is made of.

-- One change of what a merchant's accounts at a wallet hold, as far as we know it. Rows are added and never changed.
CREATE TABLE movements (
    merchant_id  uuid           NOT NULL,
    -- Begins with the booking time and ends with the leg: the order of ids is the order of a statement.
    movement_id  uuid           NOT NULL,
    -- When it was written into the books: never in a time that was closed before.
    booked_at    timestamptz    NOT NULL,
    kind         text           NOT NULL,
    provider     text           NOT NULL,
    coin         text           NOT NULL,
    -- Above zero: it came in. Below: it went out.
    amount       numeric(28,18) NOT NULL,
    -- Whose money it is, where it is a customer's; as it was known then.
    customer     text,
    -- The order, as it was known then. A receipt that is assigned later keeps its row.
    trade_id     text,
    order_id     uuid,
    receipt_id   uuid,
    -- 1: the money. 2: the other side of a transfer. 3: the fee.
    leg          smallint       NOT NULL,
    CONSTRAINT a_movement_has_one_id PRIMARY KEY (merchant_id, movement_id),
    CONSTRAINT a_movement_belongs_to_a_merchant FOREIGN KEY (merchant_id) REFERENCES merchants,
    CONSTRAINT a_movement_is_of_a_known_kind CHECK (kind IN ('deposit', 'payout', 'transfer', 'fee', 'reversal', 'correction')),
    CONSTRAINT a_movement_moves_something CHECK (amount <> 0),
    CONSTRAINT a_movement_is_of_a_receipt_or_an_order CHECK (receipt_id IS NOT NULL OR order_id IS NOT NULL)
);
CREATE INDEX movements_of_a_receipt_or_an_order ON movements (merchant_id, coalesce(receipt_id, order_id), leg);

CREATE FUNCTION refuse_to_change_the_books() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the books are not changed: a mistake is corrected by a further row';
END $$;
CREATE TRIGGER movements_are_for_ever BEFORE UPDATE OR DELETE ON movements
    FOR EACH ROW EXECUTE FUNCTION refuse_to_change_the_books();

-- How far a merchant's books are closed.
CREATE TABLE books (
    merchant_id   uuid        NOT NULL,
    -- Nothing is booked before this any more.
    closed_until  timestamptz NOT NULL,
    -- Days before this one are in day_balances.
    summed_until  date        NOT NULL,
    CONSTRAINT a_merchant_has_one_set_of_books PRIMARY KEY (merchant_id),
    CONSTRAINT books_belong_to_a_merchant FOREIGN KEY (merchant_id) REFERENCES merchants
);

-- What all movements until the end of a closed day (UTC) come to. Days without a movement have no row.
CREATE TABLE day_balances (
    merchant_id  uuid           NOT NULL,
    provider     text           NOT NULL,
    coin         text           NOT NULL,
    day          date           NOT NULL,
    balance      numeric(38,18) NOT NULL,
    CONSTRAINT a_day_has_one_balance PRIMARY KEY (merchant_id, provider, coin, day),
    CONSTRAINT a_balance_belongs_to_books FOREIGN KEY (merchant_id) REFERENCES books
);

-- The beginning of the ids of movements that are booked at this time: no id is equal to it or between it and theirs.
CREATE FUNCTION movement_floor(at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (lpad(to_hex(micros / 1000), 12, '0') || '8' || lpad(to_hex(micros % 1000), 3, '0') || '8' || repeat('0', 15))::uuid
    FROM (SELECT greatest(0, (extract(epoch FROM at) * 1000000)::bigint) AS micros) AS t
$$;

-- The id of a movement: of one receipt or order, what was booked first stands first, and the fee stands last.
CREATE FUNCTION movement_id_of(at timestamptz, subject uuid, nth bigint, leg bigint) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (left(movement_floor(at)::text, 20) || left(md5(subject::text), 12) || lpad(to_hex(nth % 256), 2, '0') || to_hex(leg))::uuid
$$;

-- Writers hold this shared until they commit, whoever closes the books holds it alone: when books are closed, all that was booked
-- before has been committed, and whoever books afterwards sees it. (The first number tells these locks from others.)
CREATE FUNCTION books_lock(merchant uuid) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    $$ SELECT hashtext(merchant::text) $$;

-- Books what is missing until each leg comes to its target.
CREATE FUNCTION book(
    merchant uuid, wallet text, coin_name text, receipt uuid, the_order uuid, name text, at timestamptz,
    what text, targets numeric[], parties text[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    subject uuid := coalesce(receipt, the_order);
    booking timestamptz;
    times   bigint;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1651470187, books_lock(merchant));
    -- A statement of its own, so that it sees who closed the books while we waited.
    SELECT greatest(at, max(b.closed_until)) INTO booking FROM books b WHERE b.merchant_id = merchant;
    SELECT count(*) INTO times FROM movements m WHERE m.merchant_id = merchant AND coalesce(m.receipt_id, m.order_id) = subject;
    INSERT INTO movements (merchant_id, movement_id, booked_at, kind, provider, coin, amount, customer, trade_id, order_id, receipt_id, leg)
    SELECT merchant, movement_id_of(booking, subject, times, t.leg), booking,
           CASE WHEN t.leg = 3 THEN 'fee' WHEN booked.amount = 0 THEN what WHEN t.target = 0 THEN 'reversal' ELSE 'correction' END,
           wallet, coin_name, t.target - booked.amount, t.party, name, the_order, receipt, t.leg
    FROM unnest(targets, parties) WITH ORDINALITY AS t(target, party, leg)
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(m.amount), 0) AS amount FROM movements m
        WHERE m.merchant_id = merchant AND coalesce(m.receipt_id, m.order_id) = subject AND m.leg = t.leg
    ) booked
    WHERE t.target <> booked.amount;
END $$;

-- A receipt that is confirmed came in, and its fee went out again. It is booked when it has found its home, so that the row can
-- name the order; one that stops counting is taken back on that day.
CREATE FUNCTION book_receipt(r receipts) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    came numeric := CASE WHEN r.progress = 'confirmed' THEN r.amount ELSE 0 END;
    fee  numeric := CASE WHEN r.progress = 'confirmed' THEN coalesce(r.fee, 0) ELSE 0 END;
BEGIN
    PERFORM book(r.merchant_id, r.provider, r.coin, r.receipt_id, r.order_id,
        (SELECT o.trade_id FROM orders o WHERE o.merchant_id = r.merchant_id AND o.order_id = r.order_id),
        r.updated_at, 'deposit', ARRAY[came, 0, -fee], ARRAY[r.customer, NULL, r.customer]);
END $$;

-- A payout that succeeded went out, the fee inside its amount. A transfer goes out on one side and comes in on the other.
CREATE FUNCTION book_order(o orders) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    went numeric := CASE WHEN o.status = 'succeeded' THEN o.amount ELSE 0 END;
    fee  numeric := least(went, coalesce(o.fee, 0));
    came numeric := CASE WHEN o.kind = 'transfer' THEN went - fee ELSE 0 END;
BEGIN
    PERFORM book(o.merchant_id, o.provider, o.coin, NULL, o.order_id, o.trade_id, o.updated_at, o.kind,
        ARRAY[fee - went, came, -fee], ARRAY[o.customer, o.destination->>'customer', o.customer]);
END $$;

CREATE FUNCTION book_new_receipt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM book_receipt(NEW); RETURN NULL; END $$;
CREATE FUNCTION book_new_order() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM book_order(NEW); RETURN NULL; END $$;

-- Whoever writes them: nobody can forget the books. The conditions keep them out of the way of all other writes.
CREATE TRIGGER new_receipts_are_booked AFTER INSERT ON receipts
    FOR EACH ROW WHEN (NOT NEW.unheard AND NEW.progress = 'confirmed') EXECUTE FUNCTION book_new_receipt();
CREATE TRIGGER receipts_are_booked AFTER UPDATE ON receipts
    FOR EACH ROW WHEN (NOT NEW.unheard AND (NEW.progress = 'confirmed' OR OLD.progress = 'confirmed' OR NEW.progress = 'abnormal')
        AND (OLD.unheard OR (OLD.progress, OLD.amount, OLD.fee) IS DISTINCT FROM (NEW.progress, NEW.amount, NEW.fee)))
    EXECUTE FUNCTION book_new_receipt();
CREATE TRIGGER new_orders_are_booked AFTER INSERT ON orders
    FOR EACH ROW WHEN (NEW.kind <> 'deposit' AND NEW.status = 'succeeded') EXECUTE FUNCTION book_new_order();
CREATE TRIGGER orders_are_booked AFTER UPDATE ON orders
    FOR EACH ROW WHEN (NEW.kind <> 'deposit' AND 'succeeded' IN (OLD.status, NEW.status)
        AND (OLD.status, OLD.amount, OLD.fee) IS DISTINCT FROM (NEW.status, NEW.amount, NEW.fee))
    EXECUTE FUNCTION book_new_order();

-- What has moved so far is booked at the time of its last change. The triggers hold up writers until this is committed, so that
-- nothing is missed between them and this.
SELECT book_receipt(r) FROM receipts r WHERE NOT r.unheard AND r.progress = 'confirmed';
SELECT book_order(o) FROM orders o WHERE o.kind <> 'deposit' AND o.status = 'succeeded';

-- Closes the books until then, if they are not, and gives until when they are closed.
CREATE FUNCTION close_books(merchant uuid, until timestamptz) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    closed timestamptz;
BEGIN
    SELECT b.closed_until INTO closed FROM books b WHERE b.merchant_id = merchant;
    IF closed >= until THEN
        RETURN closed;
    END IF;
    -- Waits for whoever is booking, for as long as their statements last.
    PERFORM pg_advisory_xact_lock(1651470187, books_lock(merchant));
    INSERT INTO books AS b (merchant_id, closed_until, summed_until) VALUES (merchant, until, '1970-01-01')
    ON CONFLICT ON CONSTRAINT a_merchant_has_one_set_of_books DO UPDATE SET closed_until = greatest(b.closed_until, excluded.closed_until)
    RETURNING b.closed_until INTO closed;
    RETURN closed;
END $$;

-- Adds up the closed days that are not added up yet, and gives the first that is not. What is closed does not change: nobody has
-- to wait for this, and two that do it at once write the same.
CREATE FUNCTION sum_days(merchant uuid) RETURNS date LANGUAGE plpgsql AS $$
DECLARE
    first date;
    ends  date;
BEGIN
    SELECT b.summed_until, (b.closed_until AT TIME ZONE 'UTC')::date INTO first, ends FROM books b WHERE b.merchant_id = merchant;
    IF first >= ends THEN
        RETURN first;
    END IF;
    INSERT INTO day_balances (merchant_id, provider, coin, day, balance)
    SELECT merchant, s.provider, s.coin, s.day, coalesce(before.balance, 0) + sum(s.amount) OVER (PARTITION BY s.provider, s.coin ORDER BY s.day)
    FROM (
        SELECT m.provider, m.coin, (m.booked_at AT TIME ZONE 'UTC')::date AS day, sum(m.amount) AS amount
        FROM movements m
        WHERE m.merchant_id = merchant AND m.movement_id > movement_floor(first::timestamp AT TIME ZONE 'UTC')
          AND m.movement_id < movement_floor(ends::timestamp AT TIME ZONE 'UTC')
        GROUP BY 1, 2, 3
    ) s
    LEFT JOIN LATERAL (
        SELECT d.balance FROM day_balances d
        WHERE d.merchant_id = merchant AND d.provider = s.provider AND d.coin = s.coin AND d.day < first
        ORDER BY d.day DESC LIMIT 1
    ) before ON true
    ON CONFLICT ON CONSTRAINT a_day_has_one_balance DO NOTHING;
    UPDATE books b SET summed_until = greatest(b.summed_until, ends) WHERE b.merchant_id = merchant;
    RETURN ends;
END $$;
