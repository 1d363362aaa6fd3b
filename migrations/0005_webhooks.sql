-- Telling the merchant: the order of events, and their way to the merchant's endpoints.

-- Events get a place in an order that never changes behind a reader. An id or a time will not do: both are given before the
-- commit, so that a transaction that commits late would put its event behind what was read already. A reader takes only events
-- whose transaction is older than every one that is still open (`pg_snapshot_xmin`): nothing can come in before them any more.
-- What is here already is of one transaction, this one; among its own kind it stands by its id, which is ordered by time.
ALTER TABLE events
    ADD COLUMN xid          xid8  NOT NULL DEFAULT pg_current_xact_id(),
    -- The only endpoint that is told of it, which asked for a test. Absent: all that want it are.
    ADD COLUMN endpoint_id  uuid;
CREATE INDEX events_in_their_order ON events (merchant_id, xid, event_id);

-- Where a merchant wants to be told.
CREATE TABLE webhook_endpoints (
    merchant_id           uuid        NOT NULL,
    endpoint_id           uuid        NOT NULL,
    url                   text        NOT NULL,
    -- What it wants to hear of: types, `deposit.*`, `*`.
    events                text[]      NOT NULL,
    state                 text        NOT NULL,
    -- Why it is not enabled. Absent where it is.
    reason                text,
    -- Since when it is in this state.
    since                 timestamptz NOT NULL,
    consecutive_failures  integer     NOT NULL DEFAULT 0,
    last_success_at       timestamptz,
    last_failure_at       timestamptz,
    -- It asked to be left alone until then (`Retry-After`).
    not_before            timestamptz,
    created_at            timestamptz NOT NULL,
    -- The merchant removed it. Its history stays.
    deleted_at            timestamptz,
    CONSTRAINT an_endpoint_has_one_id PRIMARY KEY (merchant_id, endpoint_id),
    CONSTRAINT an_endpoint_belongs_to_a_merchant FOREIGN KEY (merchant_id) REFERENCES merchants,
    CONSTRAINT an_endpoint_is_in_a_known_state CHECK (state IN ('enabled', 'failing', 'paused', 'disabled')),
    CONSTRAINT an_endpoint_that_is_not_enabled_says_why CHECK ((state = 'enabled') = (reason IS NULL)),
    CONSTRAINT an_endpoint_wants_something CHECK (cardinality(events) > 0)
) WITH (fillfactor = 50);

-- What deliveries to an endpoint are signed with. While secrets are exchanged there are several.
CREATE TABLE webhook_secrets (
    merchant_id  uuid        NOT NULL,
    endpoint_id  uuid        NOT NULL,
    secret_id    uuid        NOT NULL,
    sealed       bytea       NOT NULL,
    created_at   timestamptz NOT NULL,
    -- It signs until then. Absent: it is the newest.
    ends_at      timestamptz,
    CONSTRAINT a_secret_has_one_id PRIMARY KEY (merchant_id, endpoint_id, secret_id),
    CONSTRAINT a_secret_is_an_endpoints FOREIGN KEY (merchant_id, endpoint_id) REFERENCES webhook_endpoints
);
CREATE UNIQUE INDEX an_endpoint_has_one_newest_secret ON webhook_secrets (merchant_id, endpoint_id) WHERE ends_at IS NULL;

-- The history: one event on its way to one endpoint.
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
    CONSTRAINT an_event_has_one_delivery_to_an_endpoint UNIQUE (merchant_id, event_id, endpoint_id),
    CONSTRAINT a_delivery_goes_to_an_endpoint FOREIGN KEY (merchant_id, endpoint_id) REFERENCES webhook_endpoints,
    CONSTRAINT a_delivery_is_in_a_known_state CHECK (state IN ('pending', 'delivered', 'exhausted', 'canceled')),
    CONSTRAINT a_delivery_is_finished_or_pending CHECK ((state = 'pending') = (finished_at IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX deliveries_to_an_endpoint ON webhook_deliveries (merchant_id, endpoint_id, delivery_id);

-- One try of a delivery, and what came of it.
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
    CONSTRAINT an_attempt_is_a_deliverys FOREIGN KEY (merchant_id, delivery_id) REFERENCES webhook_deliveries,
    CONSTRAINT an_attempt_was_answered_or_failed CHECK ((status IS NULL) = (failure IS NOT NULL))
);

-- What is to be delivered: one row for each delivery that is pending, gone when it is not. The key is the order of delivery:
-- of what one endpoint hears about one order, the row of the lowest place is sent, and the others wait.
CREATE TABLE webhook_queue (
    merchant_id   uuid        NOT NULL,
    endpoint_id   uuid        NOT NULL,
    -- The order; or the event itself where it is about none.
    object_id     uuid        NOT NULL,
    -- The event's number within its order; 0 where it is about none.
    place         bigint      NOT NULL,
    delivery_id   uuid        NOT NULL,
    event_id      uuid        NOT NULL,
    -- While it is being sent: when others may take it over.
    due_at        timestamptz NOT NULL,
    -- Failures since it was last put here.
    tries         integer     NOT NULL DEFAULT 0,
    -- Whoever sends it keeps it until then. Absent: nobody does.
    leased_until  timestamptz,
    -- Counts those who took it: what came of a sending is written by the last one only.
    fence         bigint      NOT NULL DEFAULT 0,
    CONSTRAINT an_object_has_one_delivery_of_a_place PRIMARY KEY (merchant_id, endpoint_id, object_id, place),
    CONSTRAINT what_is_queued_is_a_delivery FOREIGN KEY (merchant_id, delivery_id) REFERENCES webhook_deliveries
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
CREATE INDEX queued_by_their_time ON webhook_queue (merchant_id, endpoint_id, due_at, place);
CREATE INDEX queued_and_on_their_way ON webhook_queue (merchant_id, endpoint_id) WHERE leased_until IS NOT NULL;
CREATE INDEX queued_delivery ON webhook_queue (merchant_id, delivery_id);

-- Whether somebody who wants these events wants one of this type.
CREATE FUNCTION wants_event(wanted text[], event_type text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    $$ SELECT wanted && ARRAY['*', split_part(event_type, '.', 1) || '.*', event_type] $$;

-- The id of a delivery: the time of its event's id, so that deliveries stand in their events' order, and a hash of both sides.
CREATE FUNCTION delivery_id_of(event_id uuid, endpoint_id uuid) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    $$ SELECT (left(translate(event_id::text, '-', ''), 16) || '8' || left(md5(event_id::text || endpoint_id::text), 15))::uuid $$;

-- Every event goes to the endpoints that want it, in the transaction that writes it, whoever writes: nobody can forget it, and
-- no writer needs a further statement.
CREATE FUNCTION hand_events_to_endpoints() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH handed AS (
        INSERT INTO webhook_deliveries (merchant_id, delivery_id, endpoint_id, event_id, event_type, order_id, state, created_at)
        SELECT e.merchant_id, delivery_id_of(e.event_id, n.endpoint_id), n.endpoint_id, e.event_id, e.event_type, e.order_id, 'pending', e.created_at
        FROM written e JOIN webhook_endpoints n ON n.merchant_id = e.merchant_id
        WHERE n.state <> 'disabled' AND n.deleted_at IS NULL
          AND CASE WHEN e.endpoint_id IS NULL THEN wants_event(n.events, e.event_type) ELSE n.endpoint_id = e.endpoint_id END
        RETURNING merchant_id, delivery_id, endpoint_id, event_id, created_at
    )
    INSERT INTO webhook_queue (merchant_id, endpoint_id, object_id, place, delivery_id, event_id, due_at)
    SELECT h.merchant_id, h.endpoint_id, CASE WHEN e.sequence IS NULL THEN e.event_id ELSE e.order_id END, coalesce(e.sequence, 0),
           h.delivery_id, h.event_id, h.created_at
    FROM handed h JOIN written e ON e.merchant_id = h.merchant_id AND e.event_id = h.event_id;
    RETURN NULL;
END $$;
CREATE TRIGGER events_go_to_endpoints AFTER INSERT ON events
    REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION hand_events_to_endpoints();
