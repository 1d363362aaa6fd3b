-- Events and deliveries by the month, so that a month that is old enough goes at once, as files, and not row by row.
--
-- Their ids begin with a time (48 bits, milliseconds since 1970), and the id is what the months are ranges of: it is part of each
-- primary key already, and whoever knows an id reads one month. An event, its deliveries and their tries have the same beginning
-- (`delivery_id_of`), and so stand in the same month of their tables.

-- The least id of a time.
CREATE FUNCTION first_id_at(at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
    $$ SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid $$;

-- The month of an id, by its first day, in UTC.
CREATE FUNCTION month_of_id(id uuid) RETURNS date LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
    $$ SELECT date_trunc('month', to_timestamp(('x' || left(translate(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0) AT TIME ZONE 'UTC')::date $$;

-- The deliveries of an event are between these.
CREATE FUNCTION first_delivery_of(event_id uuid) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
    $$ SELECT (left(translate(event_id::text, '-', ''), 16) || '8' || repeat('0', 15))::uuid $$;
CREATE FUNCTION last_delivery_of(event_id uuid) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
    $$ SELECT (left(translate(event_id::text, '-', ''), 16) || '8' || repeat('f', 15))::uuid $$;

-- The months that are gone. Readers of the event feed go on only from behind the last place of all of them: from any other they
-- would skip something and not know.
CREATE TABLE dropped_months (
    -- Its first day, in UTC.
    month       date        NOT NULL,
    -- The last place in the order of events that it had; `0` and the least id where it had none.
    last_xid    xid8        NOT NULL,
    last_event  uuid        NOT NULL,
    dropped_at  timestamptz NOT NULL,
    CONSTRAINT a_month_is_dropped_once PRIMARY KEY (month),
    CONSTRAINT a_month_is_its_first_day CHECK (extract(day FROM month) = 1)
);

-- What is there is copied; the old tables go at the end. All locks first: who waits for one of them holds none that we need later.
LOCK TABLE webhook_queue, webhook_endpoints, events, webhook_deliveries, webhook_attempts IN ACCESS EXCLUSIVE MODE;
ALTER TABLE webhook_queue DROP CONSTRAINT what_is_queued_is_a_delivery;
ALTER TABLE events RENAME TO old_events;
ALTER TABLE webhook_deliveries RENAME TO old_deliveries;
ALTER TABLE webhook_attempts RENAME TO old_attempts;
ALTER TABLE old_attempts DROP CONSTRAINT an_attempt_is_a_deliverys, DROP CONSTRAINT a_delivery_has_one_attempt_of_a_number;
ALTER TABLE old_deliveries DROP CONSTRAINT a_delivery_has_one_id, DROP CONSTRAINT an_event_has_one_delivery_to_an_endpoint;
ALTER TABLE old_events DROP CONSTRAINT an_event_has_one_id, DROP CONSTRAINT a_step_has_one_event;
DROP INDEX deliveries_to_an_endpoint;
DROP INDEX events_in_their_order;

-- What the merchant is told: one event for each step, written with it.
CREATE TABLE events (
    merchant_id  uuid        NOT NULL,
    event_id     uuid        NOT NULL,
    event_type   text        NOT NULL,
    -- Absent where the event is not about an order.
    order_id     uuid,
    -- The step's number. Absent where the event is not about a step.
    sequence     bigint,
    body         json        NOT NULL,
    created_at   timestamptz NOT NULL,
    -- Its place in the order of events.
    xid          xid8        NOT NULL DEFAULT pg_current_xact_id(),
    -- The only endpoint that is told of it, which asked for a test. Absent: all that want it are.
    endpoint_id  uuid,
    CONSTRAINT an_event_has_one_id PRIMARY KEY (merchant_id, event_id)
) PARTITION BY RANGE (event_id);
CREATE INDEX events_in_their_order ON events (merchant_id, xid, event_id);
-- That a step has one event cannot be a constraint across months. The key of `steps` holds it: step and event are written by
-- one statement.
CREATE INDEX events_of_an_order ON events (merchant_id, order_id, sequence);

-- The history: one event on its way to one endpoint. That there is one for both needs no constraint: its id is made of them.
CREATE TABLE webhook_deliveries (
    merchant_id  uuid        NOT NULL,
    delivery_id  uuid        NOT NULL,
    endpoint_id  uuid        NOT NULL,
    event_id     uuid        NOT NULL,
    event_type   text        NOT NULL,
    -- The order that the event is about. Absent where it is about none.
    order_id     uuid,
    state        text        NOT NULL,
    -- How many are written down in webhook_attempts.
    attempts     integer     NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL,
    -- Absent while it is on its way.
    finished_at  timestamptz,
    CONSTRAINT a_delivery_has_one_id PRIMARY KEY (merchant_id, delivery_id),
    CONSTRAINT a_deliverys_id_is_made_of_both_sides CHECK (delivery_id = delivery_id_of(event_id, endpoint_id)),
    CONSTRAINT a_delivery_goes_to_an_endpoint FOREIGN KEY (merchant_id, endpoint_id) REFERENCES webhook_endpoints,
    CONSTRAINT a_delivery_is_in_a_known_state CHECK (state IN ('pending', 'delivered', 'exhausted', 'canceled')),
    CONSTRAINT a_delivery_is_finished_or_pending CHECK ((state = 'pending') = (finished_at IS NULL))
) PARTITION BY RANGE (delivery_id);
CREATE INDEX deliveries_to_an_endpoint ON webhook_deliveries (merchant_id, endpoint_id, delivery_id);

-- One try of a delivery, and what came of it. That it is a delivery's is a foreign key of each month to the same month: one to the
-- whole would have every try compared with a month that goes.
CREATE TABLE webhook_attempts (
    merchant_id  uuid        NOT NULL,
    delivery_id  uuid        NOT NULL,
    number       integer     NOT NULL,
    -- The HTTP status. Absent where no answer came.
    status       integer,
    latency_ms   integer     NOT NULL,
    -- How the answer's body begins, at most 1 KiB. Absent where no answer came.
    answer       text,
    -- Why no answer came. Absent where one did.
    failure      text,
    at           timestamptz NOT NULL,
    CONSTRAINT a_delivery_has_one_attempt_of_a_number PRIMARY KEY (merchant_id, delivery_id, number),
    CONSTRAINT an_attempt_was_answered_or_failed CHECK ((status IS NULL) = (failure IS NOT NULL))
) PARTITION BY RANGE (delivery_id);

-- What is of a month without a table of its own: nothing that is written ever fails for want of one.
CREATE TABLE events_default PARTITION OF events DEFAULT;
CREATE TABLE webhook_deliveries_default PARTITION OF webhook_deliveries DEFAULT WITH (fillfactor = 80);
CREATE TABLE webhook_attempts_default PARTITION OF webhook_attempts DEFAULT;
ALTER TABLE webhook_attempts_default ADD CONSTRAINT an_attempt_is_a_deliverys
    FOREIGN KEY (merchant_id, delivery_id) REFERENCES webhook_deliveries_default;

-- Whether deliveries between these ids are pending.
--
-- The queue has no foreign key to the deliveries any more: a month could then only go after a comparison of all of it with all of the
-- queue, in which nobody could pay, and what is queued could not be moved out of the default. A row of the queue is written by
-- the statement that writes or reopens its delivery, and a delivery goes with its month only, after a look into the queue.
CREATE FUNCTION is_queued(from_id uuid, to_id uuid) RETURNS boolean LANGUAGE sql VOLATILE AS
    -- One step in the index for each merchant, however much is queued. Volatile: it sees what was committed until it is called.
    $$ SELECT EXISTS (SELECT FROM merchants m CROSS JOIN LATERAL (
           SELECT FROM webhook_queue q WHERE q.merchant_id = m.merchant_id AND q.delivery_id >= from_id AND q.delivery_id < to_id LIMIT 1) q) $$;

-- Gives the tables a month, by its first day, and moves there what the default has of it. `made`, `there` or `busy`: somebody
-- else is at it. Raises lock_not_available where the tables are in use for too long: what comes in the meantime must not wait.
CREATE FUNCTION make_month(month date) RETURNS text LANGUAGE plpgsql SET lock_timeout = '100ms' AS $$
DECLARE
    suffix  text := to_char(month, 'YYYY_MM');
    from_id uuid := first_id_at(month::timestamp AT TIME ZONE 'UTC');
    to_id   uuid := first_id_at((month + interval '1 month') AT TIME ZONE 'UTC');
    whole   text;
BEGIN
    IF extract(day FROM month) <> 1 THEN
        RAISE EXCEPTION 'a month is given by its first day, not by %', month;
    END IF;
    IF to_regclass('events_' || suffix) IS NOT NULL THEN
        RETURN 'there';
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtextextended('the months of events', 0)) THEN
        RETURN 'busy';
    END IF;
    -- Nobody writes until we are done: what comes waits here, and then finds the month.
    LOCK TABLE ONLY events, ONLY webhook_endpoints, ONLY webhook_deliveries, ONLY webhook_attempts IN ACCESS EXCLUSIVE MODE;
    IF to_regclass('events_' || suffix) IS NOT NULL THEN
        RETURN 'there';
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING ALL)', 'events_' || suffix);
    EXECUTE format('CREATE TABLE %I (LIKE webhook_deliveries INCLUDING ALL) WITH (fillfactor = 80)', 'webhook_deliveries_' || suffix);
    EXECUTE format('CREATE TABLE %I (LIKE webhook_attempts INCLUDING ALL)', 'webhook_attempts_' || suffix);
    -- Tries first: they keep their deliveries in the default.
    EXECUTE format('WITH moved AS (DELETE FROM webhook_attempts_default WHERE delivery_id >= $1 AND delivery_id < $2 RETURNING *)
        INSERT INTO %I SELECT * FROM moved', 'webhook_attempts_' || suffix) USING from_id, to_id;
    EXECUTE format('WITH moved AS (DELETE FROM webhook_deliveries_default WHERE delivery_id >= $1 AND delivery_id < $2 RETURNING *)
        INSERT INTO %I SELECT * FROM moved', 'webhook_deliveries_' || suffix) USING from_id, to_id;
    EXECUTE format('WITH moved AS (DELETE FROM events_default WHERE event_id >= $1 AND event_id < $2 RETURNING *)
        INSERT INTO %I SELECT * FROM moved', 'events_' || suffix) USING from_id, to_id;
    FOREACH whole IN ARRAY ARRAY['events', 'webhook_deliveries', 'webhook_attempts'] LOOP
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', whole, whole || '_' || suffix, from_id, to_id);
    END LOOP;
    EXECUTE format('ALTER TABLE %I ADD CONSTRAINT an_attempt_is_a_deliverys FOREIGN KEY (merchant_id, delivery_id) REFERENCES %I',
        'webhook_attempts_' || suffix, 'webhook_deliveries_' || suffix);
    RETURN 'made';
END $$;

-- Drops a month, by its first day. `dropped`, `gone` already, `pending`: something of it is to be delivered yet, or `busy`: somebody
-- else is at it. Raises lock_not_available as `make_month` does.
CREATE FUNCTION drop_month(month date, at timestamptz) RETURNS text LANGUAGE plpgsql SET lock_timeout = '100ms' AS $$
DECLARE
    suffix  text := to_char(month, 'YYYY_MM');
    from_id uuid := first_id_at(month::timestamp AT TIME ZONE 'UTC');
    to_id   uuid := first_id_at((month + interval '1 month') AT TIME ZONE 'UTC');
    last    record;
BEGIN
    -- With any other the queue would be seen as it was before we waited.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'a month is dropped in a transaction of isolation level read committed only';
    END IF;
    -- Before anybody has to wait for us.
    IF is_queued(from_id, to_id) THEN
        RETURN 'pending';
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtextextended('the months of events', 0)) THEN
        RETURN 'busy';
    END IF;
    LOCK TABLE ONLY events, ONLY webhook_endpoints, ONLY webhook_deliveries, ONLY webhook_attempts IN ACCESS EXCLUSIVE MODE;
    IF to_regclass('events_' || suffix) IS NULL THEN
        RETURN 'gone';
    END IF;
    -- Whoever sends something of it again writes its delivery first: he has committed, and we see it now; or he waits for us, and
    -- will not find it.
    IF is_queued(from_id, to_id) THEN
        RETURN 'pending';
    END IF;
    EXECUTE format('SELECT e.xid, e.event_id FROM merchants m CROSS JOIN LATERAL
        (SELECT xid, event_id FROM %I WHERE merchant_id = m.merchant_id ORDER BY xid DESC, event_id DESC LIMIT 1) e
        ORDER BY e.xid DESC, e.event_id DESC LIMIT 1', 'events_' || suffix) INTO last;
    -- A month is dropped twice where something with an id of that time is written afterwards.
    INSERT INTO dropped_months AS d (month, last_xid, last_event, dropped_at)
        VALUES (drop_month.month, coalesce(last.xid, '0'), coalesce(last.event_id, first_id_at('epoch')), at)
        ON CONFLICT ON CONSTRAINT a_month_is_dropped_once DO UPDATE SET
            (last_xid, last_event) = (SELECT p.xid, p.id FROM (VALUES (d.last_xid, d.last_event), (excluded.last_xid, excluded.last_event)) p (xid, id)
                                      ORDER BY p.xid DESC, p.id DESC LIMIT 1),
            dropped_at = excluded.dropped_at;
    EXECUTE format('DROP TABLE %I, %I, %I', 'webhook_attempts_' || suffix, 'webhook_deliveries_' || suffix, 'events_' || suffix);
    RETURN 'dropped';
END $$;

SELECT make_month(found.month) FROM (SELECT DISTINCT month_of_id(event_id) AS month FROM old_events) found
WHERE found.month < date '3000-01-01';
INSERT INTO events (merchant_id, event_id, event_type, order_id, sequence, body, created_at, xid, endpoint_id)
    SELECT merchant_id, event_id, event_type, order_id, sequence, body, created_at, xid, endpoint_id FROM old_events;
INSERT INTO webhook_deliveries (merchant_id, delivery_id, endpoint_id, event_id, event_type, order_id, state, attempts, created_at, finished_at)
    SELECT merchant_id, delivery_id, endpoint_id, event_id, event_type, order_id, state, attempts, created_at, finished_at FROM old_deliveries;
INSERT INTO webhook_attempts (merchant_id, delivery_id, number, status, latency_ms, answer, failure, at)
    SELECT merchant_id, delivery_id, number, status, latency_ms, answer, failure, at FROM old_attempts;
DROP TABLE old_attempts, old_deliveries, old_events;

-- Last, so that what was copied is not told again.
CREATE TRIGGER events_go_to_endpoints AFTER INSERT ON events
    REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION hand_events_to_endpoints();
