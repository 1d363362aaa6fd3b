-- Reconciliation: both sides compared movement by movement, and what was found.

-- One run: a merchant's account at one provider, over one period.
CREATE TABLE reconciliations (
    merchant_id   uuid        NOT NULL,
    run_id        uuid        NOT NULL,
    provider      text        NOT NULL,
    -- Orders and movements of then and later, and before the end.
    period_from   timestamptz NOT NULL,
    period_to     timestamptz NOT NULL,
    -- What the provider is further with than we are is heard at once.
    repair        boolean     NOT NULL,
    -- Who asked for it: the schedule, or a person at the command line.
    asked_by      text        NOT NULL,
    state         text        NOT NULL,
    -- What is compared now, and how far that has come. A stopped run goes on from there.
    leg           text        NOT NULL,
    cursor        text,
    -- How many orders and receipts of ours there were to compare when it began.
    expected      bigint      NOT NULL,
    -- Counts so far.
    questions     bigint      NOT NULL DEFAULT 0,
    compared      bigint      NOT NULL DEFAULT 0,
    behind        bigint      NOT NULL DEFAULT 0,
    repaired      bigint      NOT NULL DEFAULT 0,
    unreadable    bigint      NOT NULL DEFAULT 0,
    unchecked     bigint      NOT NULL DEFAULT 0,
    opened        bigint      NOT NULL DEFAULT 0,
    closed        bigint      NOT NULL DEFAULT 0,
    disagree      bigint      NOT NULL DEFAULT 0,
    -- What the provider said that the payout account owned, by coin, and when. Absent until it was asked.
    balances      jsonb,
    -- Why it could not go on. Absent where it could.
    failure       text,
    -- Whoever works on it keeps it until then; each page proves by the fence that it is still theirs.
    leased_until  timestamptz,
    fence         bigint      NOT NULL DEFAULT 0,
    started_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    finished_at   timestamptz,
    CONSTRAINT a_run_has_one_id PRIMARY KEY (merchant_id, run_id),
    CONSTRAINT a_run_is_of_an_account FOREIGN KEY (merchant_id, provider) REFERENCES provider_accounts,
    CONSTRAINT a_run_is_in_a_known_state CHECK (state IN ('running', 'finished', 'failed')),
    CONSTRAINT a_run_is_running_or_finished CHECK ((state = 'running') = (finished_at IS NULL)),
    CONSTRAINT a_failed_run_says_why CHECK ((state = 'failed') = (failure IS NOT NULL)),
    CONSTRAINT a_period_ends_after_its_beginning CHECK (period_from < period_to)
);
-- The same work is under way once, whoever asks for it.
CREATE UNIQUE INDEX a_period_is_reconciled_once_at_a_time ON reconciliations (merchant_id, provider, period_from, period_to, repair)
    WHERE state = 'running';
-- Each night has one run of an account, however many processes look.
CREATE UNIQUE INDEX a_night_has_one_run ON reconciliations (merchant_id, provider, period_to) WHERE asked_by = 'schedule';
CREATE INDEX running_reconciliations ON reconciliations (started_at) WHERE state = 'running';

-- A discrepancy can be about a receipt or a balance, too.
ALTER TABLE discrepancies
    ALTER COLUMN order_id DROP NOT NULL,
    ADD COLUMN provider  text,
    -- What it is about: an order's id, `receipt:` and the provider's number, or `balance:` and the coin.
    ADD COLUMN subject   text,
    -- A report that was heard, or a comparison of both sides. Only the latter can find that they agree again.
    ADD COLUMN found_by  text NOT NULL DEFAULT 'report';
UPDATE discrepancies d SET provider = o.provider, subject = o.order_id::text
FROM orders o WHERE o.merchant_id = d.merchant_id AND o.order_id = d.order_id;
ALTER TABLE discrepancies
    ALTER COLUMN provider SET NOT NULL,
    ALTER COLUMN subject SET NOT NULL,
    ALTER COLUMN found_by DROP DEFAULT,
    DROP CONSTRAINT the_same_finding_is_one_discrepancy,
    ADD CONSTRAINT a_discrepancy_was_found_by_somebody CHECK (found_by IN ('report', 'reconciliation'));
-- What was found again after both sides had agreed is news; what a person has settled is not.
CREATE UNIQUE INDEX the_same_finding_is_one_discrepancy ON discrepancies (merchant_id, provider, subject, digest)
    WHERE resolved_by IS DISTINCT FROM 'reconciliation';
CREATE INDEX open_discrepancies ON discrepancies (kind, opened_at) WHERE resolved_at IS NULL;

-- Incoming movements in the order of the provider's numbers: shorter ones are smaller.
CREATE INDEX receipts_by_their_number ON receipts (merchant_id, provider, length(provider_receipt_id), provider_receipt_id);
