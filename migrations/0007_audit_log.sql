-- The audit log: what persons and keys changed by hand, one chain of rows for each merchant.
--
-- A row carries the hash of the row before it, so that a row that is altered, removed, inserted or moved no longer fits its
-- neighbours. The head of a chain stands in a table of its own: without it the newest rows could be taken away unseen.
--
-- The rows are chained here and not in the program: whatever statement makes a change inserts its row as one more part of
-- itself, and there is neither a change without its row nor a row without its change.

-- For people, to tell keys (and with them, who holds them) apart. Absent: the key was made without a name.
ALTER TABLE api_keys ADD COLUMN name text,
    ADD CONSTRAINT a_key_name_is_short CHECK (length(name) BETWEEN 1 AND 64);

-- Somebody wants a payout sent again whose outcome nobody knows: who, when, why, and who agreed. Absent: nobody does.
ALTER TABLE orders ADD COLUMN retry jsonb;

CREATE TABLE audit_heads (
    merchant_id  uuid   NOT NULL,
    -- The newest row's number; 0 before there is one.
    position     bigint NOT NULL,
    -- The newest row's hash; 32 zero bytes before there is one.
    hash         bytea  NOT NULL,
    CONSTRAINT a_merchant_has_one_audit_head PRIMARY KEY (merchant_id),
    CONSTRAINT an_audit_head_is_a_sha_256 CHECK (length(hash) = 32)
);

CREATE TABLE audit_log (
    merchant_id    uuid        NOT NULL,
    -- From 1, without gaps.
    position       bigint      NOT NULL,
    at             timestamptz NOT NULL,
    actor_kind     text        NOT NULL,
    -- A key's id. Absent where no key was used.
    actor_id       text,
    -- A key's name, or its beginning; the operator's name on his machine; the customer's id.
    actor_name     text        NOT NULL,
    -- What was done, for example payout.retry.
    action         text        NOT NULL,
    -- To what.
    subject_type   text        NOT NULL,
    subject_id     text        NOT NULL,
    -- What changed, without secrets. Absent where there was, or is, nothing. json, not jsonb: its text is hashed as it stands.
    before         json,
    after          json,
    -- Why, in the words of whoever did it. Absent where none are asked for.
    reason         text,
    -- The request that did it. Absent where it was no request.
    request_id     text,
    previous_hash  bytea       NOT NULL,
    hash           bytea       NOT NULL,
    CONSTRAINT an_audit_row_has_one_position PRIMARY KEY (merchant_id, position),
    CONSTRAINT an_audit_row_is_of_a_merchant FOREIGN KEY (merchant_id) REFERENCES merchants,
    CONSTRAINT an_audit_row_names_a_known_kind_of_actor CHECK (actor_kind IN ('key', 'operator', 'customer')),
    CONSTRAINT audit_rows_are_counted_from_one CHECK (position >= 1)
);
CREATE INDEX audit_rows_of_a_subject ON audit_log (merchant_id, subject_id, position DESC);

-- One field of what is hashed: its length in bytes, a colon, the field, a comma (a netstring); "-," where it is absent.
CREATE FUNCTION audit_field(field text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(octet_length(convert_to(field, 'UTF8')) || ':' || field || ',', '-,')
$$;

-- What the hash of a row is of. The program computes the same bytes: see docs/OPERATIONS.md.
CREATE FUNCTION audit_bytes(r audit_log) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT convert_to(
        audit_field('tillgate-audit-1') || audit_field(r.merchant_id::text) || audit_field(r.position::text) ||
        -- Microseconds since 1970, exactly.
        audit_field((extract(epoch FROM r.at) * 1000000)::bigint::text) ||
        audit_field(r.actor_kind) || audit_field(r.actor_id) || audit_field(r.actor_name) || audit_field(r.action) ||
        audit_field(r.subject_type) || audit_field(r.subject_id) || audit_field(r.before::text) || audit_field(r.after::text) ||
        audit_field(r.reason) || audit_field(r.request_id) || audit_field(encode(r.previous_hash, 'hex')), 'UTF8')
$$;

-- Gives a new row its number and its hashes, whatever was given. The merchant's rows are written one after the other: the
-- head stays locked until the end of the transaction.
CREATE FUNCTION chain_audit_row() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    head audit_heads%ROWTYPE;
BEGIN
    INSERT INTO audit_heads (merchant_id, position, hash) VALUES (NEW.merchant_id, 0, decode(repeat('00', 32), 'hex'))
        ON CONFLICT ON CONSTRAINT a_merchant_has_one_audit_head DO NOTHING;
    SELECT * INTO STRICT head FROM audit_heads h WHERE h.merchant_id = NEW.merchant_id FOR UPDATE;
    NEW.position := head.position + 1;
    NEW.previous_hash := head.hash;
    NEW.hash := sha256(audit_bytes(NEW));
    UPDATE audit_heads h SET position = NEW.position, hash = NEW.hash WHERE h.merchant_id = NEW.merchant_id;
    RETURN NEW;
END $$;
CREATE TRIGGER audit_rows_are_chained BEFORE INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION chain_audit_row();

-- Append-only, for mistakes as well. (Whoever owns the tables can take the triggers away; the hashes are for that.)
CREATE FUNCTION refuse_to_change_the_audit_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP;
END $$;
CREATE TRIGGER audit_rows_do_not_change BEFORE UPDATE OR DELETE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION refuse_to_change_the_audit_log();
CREATE TRIGGER the_audit_log_is_not_emptied BEFORE TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_the_audit_log();
CREATE TRIGGER audit_heads_do_not_go_away BEFORE DELETE ON audit_heads
    FOR EACH ROW EXECUTE FUNCTION refuse_to_change_the_audit_log();
CREATE TRIGGER audit_heads_are_not_emptied BEFORE TRUNCATE ON audit_heads
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_the_audit_log();
CREATE TRIGGER audit_heads_go_up_by_one BEFORE UPDATE ON audit_heads
    FOR EACH ROW WHEN (NEW.position <> OLD.position + 1 OR NEW.merchant_id <> OLD.merchant_id)
    EXECUTE FUNCTION refuse_to_change_the_audit_log();
