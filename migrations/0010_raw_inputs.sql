-- Raw inputs are kept for a configured time; their digests for ever.

-- SHA-256 of the raw input, once that is forgotten. Absent while it is kept: then it is made of it.
ALTER TABLE receipts ADD COLUMN raw_digest bytea;

-- Up to which id the raw inputs of a table were looked at: so that a round costs what is new, and not what is old.
CREATE TABLE raw_inputs_forgotten (
    merchant_id  uuid NOT NULL,
    kind         text NOT NULL,
    before       uuid NOT NULL,
    CONSTRAINT a_merchants_inputs_have_one_mark PRIMARY KEY (merchant_id, kind),
    CONSTRAINT a_mark_is_a_merchants FOREIGN KEY (merchant_id) REFERENCES merchants,
    CONSTRAINT a_mark_is_of_a_known_kind CHECK (kind IN ('reports', 'receipts'))
);
