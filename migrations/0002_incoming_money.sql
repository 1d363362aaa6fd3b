-- Wallets that keep accounts for our customers and tell of incoming money only when they are asked.

-- A merchant's customers, by the merchant's own id.
CREATE TABLE customers (
    merchant_id  uuid        NOT NULL,
    customer     text        NOT NULL,
    -- A keyed hash of the mobile number or e-mail address. The address itself is not kept.
    contact_tag  bytea       NOT NULL,
    created_at   timestamptz NOT NULL,
    CONSTRAINT a_customer_is_registered_once PRIMARY KEY (merchant_id, customer),
    CONSTRAINT a_customer_belongs_to_a_merchant FOREIGN KEY (merchant_id) REFERENCES merchants
);

-- The account of a customer that a provider keeps for us.
CREATE TABLE wallet_users (
    merchant_id    uuid        NOT NULL,
    customer       text        NOT NULL,
    provider       text        NOT NULL,
    provider_user  text        NOT NULL,
    created_at     timestamptz NOT NULL,
    CONSTRAINT a_customer_has_one_user_at_a_provider PRIMARY KEY (merchant_id, customer, provider),
    CONSTRAINT a_wallet_user_is_one_customers UNIQUE (merchant_id, provider, provider_user),
    CONSTRAINT a_wallet_user_is_a_customers FOREIGN KEY (merchant_id, customer) REFERENCES customers,
    CONSTRAINT a_wallet_user_belongs_to_an_account FOREIGN KEY (merchant_id, provider) REFERENCES provider_accounts
);

-- Where a customer pays a coin in. Providers keep the address of a user and a coin for ever.
CREATE TABLE deposit_addresses (
    merchant_id       uuid        NOT NULL,
    customer          text        NOT NULL,
    provider          text        NOT NULL,
    provider_coin_id  text        NOT NULL,
    coin              text        NOT NULL,
    address           text        NOT NULL,
    created_at        timestamptz NOT NULL,
    CONSTRAINT a_customer_has_one_address_of_a_coin PRIMARY KEY (merchant_id, customer, provider, provider_coin_id),
    CONSTRAINT an_address_is_a_wallet_users FOREIGN KEY (merchant_id, customer, provider) REFERENCES wallet_users
);

-- How far the incoming movements of an account have been read.
CREATE TABLE deposit_feeds (
    merchant_id   uuid        NOT NULL,
    provider      text        NOT NULL,
    -- The greatest of the provider's numbers below which everything that was shown is stored.
    cursor        bigint      NOT NULL,
    -- When the last reading that came to the end of the feed began. Absent: none did.
    read_at       timestamptz,
    due_at        timestamptz NOT NULL,
    -- A worker keeps it until then. Absent: nobody does.
    leased_until  timestamptz,
    CONSTRAINT an_account_has_one_feed PRIMARY KEY (merchant_id, provider),
    CONSTRAINT a_feed_belongs_to_an_account FOREIGN KEY (merchant_id, provider) REFERENCES provider_accounts
);

-- Numbers of a feed that are to be asked for again: not shown yet, not readable yet, or not confirmed yet.
CREATE TABLE feed_follows (
    merchant_id  uuid        NOT NULL,
    provider     text        NOT NULL,
    number       bigint      NOT NULL,
    reason       text        NOT NULL,
    since        timestamptz NOT NULL,
    due_at       timestamptz NOT NULL,
    tries        integer     NOT NULL,
    CONSTRAINT a_number_is_followed_once PRIMARY KEY (merchant_id, provider, number),
    CONSTRAINT a_follow_belongs_to_a_feed FOREIGN KEY (merchant_id, provider) REFERENCES deposit_feeds,
    CONSTRAINT a_follow_has_a_known_reason CHECK (reason IN ('missing', 'unreadable', 'pending'))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
CREATE INDEX follows_by_their_time ON feed_follows (merchant_id, provider, due_at);

-- Receipts learn where they came from, and how they stand.
ALTER TABLE receipts
    ADD COLUMN customer          text,
    -- The provider's id of the user whom the money came to. Absent where the receipt is of an order's own movement.
    ADD COLUMN provider_user     text,
    ADD COLUMN provider_coin_id  text,
    ADD COLUMN progress          text        NOT NULL DEFAULT 'confirmed',
    ADD COLUMN address           text,
    ADD COLUMN txid              text,
    ADD COLUMN confirmations     integer,
    -- Counts what the provider told of it: a write succeeds only on the revision that was read.
    ADD COLUMN revision          integer     NOT NULL DEFAULT 1,
    -- Its order (or, where there is none, the merchant) has not heard of this revision yet.
    ADD COLUMN unheard           boolean     NOT NULL DEFAULT false,
    -- Since when it is on the list of those that no order was open to. Absent: it never was.
    ADD COLUMN unmatched_at      timestamptz,
    -- When the provider saw it first, by its own clock. Absent: it does not say.
    ADD COLUMN seen_at           timestamptz,
    -- The provider's own words, sealed: what came in last.
    ADD COLUMN sealed_raw        bytea,
    ADD COLUMN updated_at        timestamptz,
    ADD CONSTRAINT a_receipt_stands_somewhere CHECK (progress IN ('pending', 'confirmed', 'abnormal'));
UPDATE receipts r SET
    updated_at = r.created_at,
    unmatched_at = CASE WHEN r.order_id IS NULL THEN r.created_at END,
    provider_coin_id = coalesce((SELECT o.provider_coin_id FROM orders o WHERE o.merchant_id = r.merchant_id AND o.order_id = r.order_id), r.coin),
    customer = (SELECT o.customer FROM orders o WHERE o.merchant_id = r.merchant_id AND o.order_id = r.order_id);
ALTER TABLE receipts
    ALTER COLUMN provider_coin_id SET NOT NULL,
    ALTER COLUMN updated_at SET NOT NULL,
    ALTER COLUMN progress DROP DEFAULT,
    ALTER COLUMN revision DROP DEFAULT,
    ALTER COLUMN unheard DROP DEFAULT,
    DROP COLUMN confirmed;
CREATE INDEX receipts_newest_first ON receipts (merchant_id, receipt_id DESC);
CREATE INDEX receipts_of_an_order ON receipts (merchant_id, order_id) WHERE order_id IS NOT NULL;
CREATE INDEX receipts_to_be_heard ON receipts (merchant_id, provider, receipt_id) WHERE unheard;

-- The user whom the money of a payout or transfer is taken from. Absent: the merchant's own account.
ALTER TABLE orders ADD COLUMN source_user text;
-- How far the money may differ from the amount and still be exactly what was asked.
ALTER TABLE orders ADD COLUMN tolerance numeric(28,18) NOT NULL DEFAULT 0;
ALTER TABLE orders ALTER COLUMN tolerance DROP DEFAULT;
-- Deposits that are open to the money of a customer.
CREATE INDEX deposits_open_to_money ON orders (merchant_id, customer, provider_coin_id) WHERE kind = 'deposit' AND NOT is_final;

-- Orders whose provider can be asked about many at once are asked in pages, lane by lane.
ALTER TABLE tasks
    -- The provider's list that the order stands in. Absent: it is worked on by itself.
    ADD COLUMN lane text,
    DROP CONSTRAINT a_task_is_of_a_known_kind,
    ADD CONSTRAINT a_task_is_of_a_known_kind CHECK (work IN ('submit', 'look', 'poll', 'expire', 'close')),
    ADD CONSTRAINT polls_have_a_lane CHECK ((work = 'poll') = (lane IS NOT NULL));
CREATE INDEX polls_by_their_lane ON tasks (merchant_id, lane, due_at) WHERE work = 'poll';
