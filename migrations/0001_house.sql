-- The first house: merchants, their keys and accounts, orders and all that happens to them.
--
-- Rules that hold throughout:
--   * every key, unique constraint and foreign key of tenant data begins with merchant_id;
--   * money is NUMERIC(28,18) and below 10^10, so that it decodes exactly;
--   * every constraint has a name that reads as a sentence: an error message is an explanation;
--   * times are parameters of the statements, never now(): the clock is a value.

CREATE TABLE merchants (
    merchant_id     uuid        NOT NULL,
    name            text        NOT NULL,
    -- Origins that browsers may be sent back to, for example https://shop.example
    return_origins  text[]      NOT NULL,
    created_at      timestamptz NOT NULL,
    CONSTRAINT a_merchant_has_one_id PRIMARY KEY (merchant_id),
    CONSTRAINT a_merchant_name_is_taken_once UNIQUE (name),
    CONSTRAINT a_merchant_name_is_short CHECK (length(name) BETWEEN 1 AND 64)
);

CREATE TABLE api_keys (
    merchant_id  uuid        NOT NULL,
    key_id       uuid        NOT NULL,
    -- The start of the key, for people to tell keys apart.
    prefix       text        NOT NULL,
    -- A keyed hash: who reads this table can neither use nor test keys.
    key_hash     bytea       NOT NULL,
    scopes       text[]      NOT NULL,
    -- Networks that it may be used from; empty means any.
    allow_ips    text[]      NOT NULL,
    created_at   timestamptz NOT NULL,
    -- Absent: it does not expire.
    expires_at   timestamptz,
    -- Absent: it is live.
    revoked_at   timestamptz,
    CONSTRAINT an_api_key_has_one_id PRIMARY KEY (merchant_id, key_id),
    CONSTRAINT an_api_key_belongs_to_a_merchant FOREIGN KEY (merchant_id) REFERENCES merchants
);
-- The one door where the tenant is not known yet: the key tells it. 256 random bits do not collide.
CREATE INDEX an_api_key_is_found_by_its_hash ON api_keys (key_hash);

CREATE TABLE provider_accounts (
    merchant_id  uuid        NOT NULL,
    provider     text        NOT NULL,
    -- Credentials and choices, sealed as one document.
    sealed       bytea       NOT NULL,
    updated_at   timestamptz NOT NULL,
    -- Absent: it takes orders.
    disabled_at  timestamptz,
    CONSTRAINT a_merchant_has_one_account_at_a_provider PRIMARY KEY (merchant_id, provider),
    CONSTRAINT an_account_belongs_to_a_merchant FOREIGN KEY (merchant_id) REFERENCES merchants,
    CONSTRAINT an_account_is_at_a_known_provider CHECK (provider IN ('fomo', 'hicoin', 'youliao'))
);

-- The last good list of a provider's coins, served when the provider is down.
CREATE TABLE coin_lists (
    merchant_id  uuid        NOT NULL,
    provider     text        NOT NULL,
    coins        jsonb       NOT NULL,
    fetched_at   timestamptz NOT NULL,
    CONSTRAINT an_account_has_one_coin_list PRIMARY KEY (merchant_id, provider),
    CONSTRAINT a_coin_list_belongs_to_an_account FOREIGN KEY (merchant_id, provider) REFERENCES provider_accounts
);

CREATE TABLE wallet_links (
    merchant_id         uuid        NOT NULL,
    customer            text        NOT NULL,
    provider            text        NOT NULL,
    provider_user       text        NOT NULL,
    status              text        NOT NULL,
    -- Both tokens, sealed as one document.
    sealed_tokens       bytea       NOT NULL,
    -- Counts token exchanges: a write succeeds only on the generation that was read.
    generation          bigint      NOT NULL,
    access_expires_at   timestamptz NOT NULL,
    refresh_expires_at  timestamptz NOT NULL,
    -- When an access token should be fetched anew, ahead of its expiry.
    refresh_at          timestamptz NOT NULL,
    -- Who refreshes it right now has until then. Absent: nobody does.
    refresh_lease       timestamptz,
    linked_at           timestamptz NOT NULL,
    last_used_at        timestamptz NOT NULL,
    CONSTRAINT a_customer_has_one_link_to_a_provider PRIMARY KEY (merchant_id, customer, provider),
    CONSTRAINT a_wallet_account_is_linked_to_one_customer UNIQUE (merchant_id, provider, provider_user),
    CONSTRAINT a_link_belongs_to_an_account FOREIGN KEY (merchant_id, provider) REFERENCES provider_accounts,
    CONSTRAINT a_link_is_active_or_expired CHECK (status IN ('active', 'expired'))
);
CREATE INDEX active_links_by_their_next_refresh ON wallet_links (refresh_at) WHERE status = 'active';

CREATE TABLE orders (
    merchant_id         uuid           NOT NULL,
    order_id            uuid           NOT NULL,
    trade_id            text           NOT NULL,
    kind                text           NOT NULL,
    provider            text           NOT NULL,
    status              text           NOT NULL,
    stage               text,
    sequence            bigint         NOT NULL,
    coin                text           NOT NULL,
    provider_coin_id    text           NOT NULL,
    decimals            integer        NOT NULL,
    amount              numeric(28,18) NOT NULL,
    amount_received     numeric(28,18) NOT NULL,
    amount_confirmed    numeric(28,18) NOT NULL,
    -- Absent until the provider says.
    fee                 numeric(28,18),
    late                boolean        NOT NULL,
    customer            text,
    destination         jsonb,
    -- The provider's id of the user on the other side.
    provider_user       text,
    next_action         jsonb,
    provider_reference  text,
    txid                text,
    confirmations       integer,
    failure             jsonb,
    -- What was claimed without proof, while the proof is looked for.
    claim               jsonb,
    -- Attempts that may have moved money without our knowing.
    doubts              smallint       NOT NULL,
    doubt_since         timestamptz,
    is_final            boolean        NOT NULL,
    final_at            timestamptz,
    expires_at          timestamptz,
    -- json, not jsonb: the merchant gets back what it gave, to the letter.
    metadata            json,
    -- SHA-256 of what was asked: the same trade id with another content is a conflict.
    fingerprint         bytea          NOT NULL,
    created_at          timestamptz    NOT NULL,
    updated_at          timestamptz    NOT NULL,
    CONSTRAINT an_order_has_one_id PRIMARY KEY (merchant_id, order_id),
    CONSTRAINT a_trade_id_is_used_once UNIQUE (merchant_id, trade_id),
    CONSTRAINT an_order_belongs_to_an_account FOREIGN KEY (merchant_id, provider) REFERENCES provider_accounts,
    CONSTRAINT an_order_is_of_a_known_kind CHECK (kind IN ('deposit', 'payout', 'transfer')),
    CONSTRAINT an_order_has_a_status_of_its_kind CHECK (
        CASE kind
            WHEN 'deposit' THEN status IN ('created', 'awaiting_payment', 'processing', 'succeeded', 'expired', 'failed', 'canceled', 'requires_review')
            ELSE status IN ('queued', 'requires_approval', 'processing', 'succeeded', 'failed', 'canceled', 'rejected', 'requires_review')
        END),
    CONSTRAINT an_amount_is_positive_and_exact CHECK (amount > 0 AND amount < 10000000000),
    CONSTRAINT counted_amounts_are_not_negative CHECK (amount_received >= 0 AND amount_confirmed >= 0 AND fee >= 0),
    CONSTRAINT a_deposit_confirms_no_more_than_it_received CHECK (kind <> 'deposit' OR amount_confirmed <= amount_received),
    CONSTRAINT a_deposit_has_a_customer_and_a_deadline CHECK (kind <> 'deposit' OR (customer IS NOT NULL AND expires_at IS NOT NULL)),
    CONSTRAINT a_payout_has_a_destination CHECK (kind <> 'payout' OR destination IS NOT NULL),
    CONSTRAINT doubts_have_a_beginning CHECK ((doubts > 0) = (doubt_since IS NOT NULL)),
    CONSTRAINT a_final_order_says_since_when CHECK (NOT is_final OR final_at IS NOT NULL),
    CONSTRAINT settled_orders_are_final CHECK (is_final OR status NOT IN ('succeeded', 'failed', 'rejected')),
    CONSTRAINT steps_are_counted_from_one CHECK (sequence >= 1)
);
-- Lists are newest first within a kind; ids are ordered by time.
CREATE INDEX orders_of_a_kind_newest_first ON orders (merchant_id, kind, order_id DESC);
CREATE INDEX orders_of_a_customer_newest_first ON orders (merchant_id, customer, order_id DESC) WHERE customer IS NOT NULL;

-- A final status is for ever, whoever writes: the promise does not rest on the program alone.
CREATE FUNCTION refuse_to_leave_a_final_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.is_final AND (NEW.status <> OLD.status OR NOT NEW.is_final) THEN
        RAISE EXCEPTION 'order % is final: its status % does not change', OLD.order_id, OLD.status;
    END IF;
    IF NEW.sequence <> OLD.sequence AND NEW.sequence <> OLD.sequence + 1 THEN
        RAISE EXCEPTION 'order %: sequence goes up by one', OLD.order_id;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER final_orders_keep_their_status BEFORE UPDATE ON orders
    FOR EACH ROW EXECUTE FUNCTION refuse_to_leave_a_final_status();

-- What is to be done for open orders: one row for each, gone at the end. Polling writes here and
-- never to orders, and the cost of finding due work does not depend on history.
CREATE TABLE tasks (
    merchant_id   uuid        NOT NULL,
    order_id      uuid        NOT NULL,
    work          text        NOT NULL,
    due_at        timestamptz NOT NULL,
    -- Tries since the order came to its present place.
    tries         integer     NOT NULL,
    -- The unbroken row of looks that found nothing: its first and its last.
    absent_since  timestamptz,
    absent_last   timestamptz,
    -- A worker keeps it until then. Absent: nobody does.
    leased_until  timestamptz,
    CONSTRAINT an_open_order_has_one_task PRIMARY KEY (merchant_id, order_id),
    CONSTRAINT a_task_belongs_to_an_order FOREIGN KEY (merchant_id, order_id) REFERENCES orders,
    CONSTRAINT a_task_is_of_a_known_kind CHECK (work IN ('submit', 'look', 'expire', 'close'))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
CREATE INDEX tasks_by_their_time ON tasks (work, due_at);

-- One call that may move money. Its row is committed before the call leaves.
CREATE TABLE attempts (
    merchant_id   uuid        NOT NULL,
    attempt_id    uuid        NOT NULL,
    order_id      uuid        NOT NULL,
    state         text        NOT NULL,
    -- What it came to, in words. Absent while it is open.
    detail        text,
    started_at    timestamptz NOT NULL,
    leased_until  timestamptz NOT NULL,
    -- Absent while it is open.
    ended_at      timestamptz,
    CONSTRAINT an_attempt_has_one_id PRIMARY KEY (merchant_id, attempt_id),
    CONSTRAINT an_attempt_belongs_to_an_order FOREIGN KEY (merchant_id, order_id) REFERENCES orders,
    CONSTRAINT an_attempt_has_a_known_state CHECK (
        state IN ('open', 'accepted', 'refused', 'not_sent', 'misconfigured', 'duplicate', 'unknown')),
    CONSTRAINT an_open_attempt_has_no_end CHECK ((state = 'open') = (ended_at IS NULL))
);
CREATE UNIQUE INDEX an_order_has_one_open_attempt ON attempts (merchant_id, order_id) WHERE state = 'open';
CREATE INDEX attempts_of_an_order ON attempts (merchant_id, order_id, started_at);

-- What was said of an order, as it came. Callbacks are kept whether they are believed or not.
CREATE TABLE reports (
    merchant_id  uuid        NOT NULL,
    report_id    uuid        NOT NULL,
    order_id     uuid        NOT NULL,
    channel      text        NOT NULL,
    -- SHA-256 of the raw input: the same callback twice is one report.
    digest       bytea       NOT NULL,
    -- The raw input, sealed: it may hold personal data.
    sealed_raw   bytea       NOT NULL,
    -- What was read from it, without secrets.
    summary      jsonb       NOT NULL,
    -- What became of it: step, unchanged, or the refusal.
    verdict      text        NOT NULL,
    -- Where a callback came from.
    source       text,
    received_at  timestamptz NOT NULL,
    CONSTRAINT a_report_has_one_id PRIMARY KEY (merchant_id, report_id),
    CONSTRAINT a_report_is_of_an_order FOREIGN KEY (merchant_id, order_id) REFERENCES orders,
    CONSTRAINT a_report_came_by_a_known_channel CHECK (channel IN ('answer', 'callback', 'lookup', 'browser'))
);
CREATE UNIQUE INDEX a_repeated_callback_is_one_report ON reports (merchant_id, order_id, digest) WHERE channel = 'callback';
CREATE INDEX reports_of_an_order ON reports (merchant_id, order_id, received_at);

-- One change of an order, with its evidence.
CREATE TABLE steps (
    merchant_id  uuid        NOT NULL,
    order_id     uuid        NOT NULL,
    sequence     bigint      NOT NULL,
    status       text        NOT NULL,
    stage        text,
    channel      text        NOT NULL,
    reason       text        NOT NULL,
    -- The report that caused it. Absent where nothing came from outside.
    report_id    uuid,
    -- The attempt that it is about. Absent where it is about none.
    attempt_id   uuid,
    created_at   timestamptz NOT NULL,
    CONSTRAINT an_order_has_one_step_of_a_number PRIMARY KEY (merchant_id, order_id, sequence),
    CONSTRAINT a_step_is_of_an_order FOREIGN KEY (merchant_id, order_id) REFERENCES orders
);

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
    CONSTRAINT an_event_has_one_id PRIMARY KEY (merchant_id, event_id),
    CONSTRAINT a_step_has_one_event UNIQUE (merchant_id, order_id, sequence)
);

-- One incoming movement that a provider reports. Without an order it is on the unmatched list.
CREATE TABLE receipts (
    merchant_id          uuid           NOT NULL,
    receipt_id           uuid           NOT NULL,
    provider             text           NOT NULL,
    provider_receipt_id  text           NOT NULL,
    order_id             uuid,
    coin                 text           NOT NULL,
    amount               numeric(28,18) NOT NULL,
    fee                  numeric(28,18),
    confirmed            boolean        NOT NULL,
    created_at           timestamptz    NOT NULL,
    CONSTRAINT a_receipt_has_one_id PRIMARY KEY (merchant_id, receipt_id),
    CONSTRAINT a_movement_is_counted_once UNIQUE (merchant_id, provider, provider_receipt_id),
    CONSTRAINT a_receipt_is_of_an_order FOREIGN KEY (merchant_id, order_id) REFERENCES orders,
    CONSTRAINT a_receipt_is_positive CHECK (amount > 0)
);
CREATE INDEX receipts_without_an_order ON receipts (merchant_id, receipt_id DESC) WHERE order_id IS NULL;

-- Two sides that disagree. The same finding twice is one row.
CREATE TABLE discrepancies (
    merchant_id     uuid        NOT NULL,
    discrepancy_id  uuid        NOT NULL,
    order_id        uuid        NOT NULL,
    kind            text        NOT NULL,
    ours            jsonb       NOT NULL,
    theirs          jsonb       NOT NULL,
    -- SHA-256 of kind and both sides.
    digest          bytea       NOT NULL,
    opened_at       timestamptz NOT NULL,
    -- Absent while it is open.
    resolved_at     timestamptz,
    resolved_by     text,
    reason          text,
    CONSTRAINT a_discrepancy_has_one_id PRIMARY KEY (merchant_id, discrepancy_id),
    CONSTRAINT the_same_finding_is_one_discrepancy UNIQUE (merchant_id, order_id, digest),
    CONSTRAINT a_discrepancy_is_of_an_order FOREIGN KEY (merchant_id, order_id) REFERENCES orders,
    CONSTRAINT a_resolved_discrepancy_says_by_whom_and_why CHECK (
        (resolved_at IS NULL AND resolved_by IS NULL AND reason IS NULL) OR
        (resolved_at IS NOT NULL AND resolved_by IS NOT NULL AND reason IS NOT NULL))
);
