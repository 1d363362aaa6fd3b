-- Youliao's authorisations: what was asked, and what became of it. They are no orders: no money moves by them.

CREATE TABLE youliao_authorizations (
    merchant_id         uuid           NOT NULL,
    authorization_id    uuid           NOT NULL,
    status              text           NOT NULL,
    -- Keyed hashes: they tell whether two requests name the same person, to who holds the key. The numbers are not kept.
    mobile_tag          bytea          NOT NULL,
    identity_tag        bytea          NOT NULL,
    -- What people may see.
    mobile_last_four    text           NOT NULL,
    identity_last_four  text           NOT NULL,
    name_masked         text           NOT NULL,
    -- In yuan.
    amount              numeric(28,18) NOT NULL,
    created_at          timestamptz    NOT NULL,
    -- Absent: no answer came that tells the outcome.
    answered_at         timestamptz,
    CONSTRAINT an_authorization_has_one_id PRIMARY KEY (merchant_id, authorization_id),
    CONSTRAINT an_authorization_belongs_to_a_merchant FOREIGN KEY (merchant_id) REFERENCES merchants,
    CONSTRAINT an_authorization_has_a_known_status CHECK (status IN ('granted', 'refused', 'unknown')),
    CONSTRAINT an_authorization_is_unknown_until_it_is_answered CHECK ((status = 'unknown') = (answered_at IS NULL)),
    CONSTRAINT numbers_of_a_person_are_kept_as_hashes CHECK (length(mobile_tag) = 32 AND length(identity_tag) = 32),
    CONSTRAINT of_numbers_four_characters_are_shown CHECK (length(mobile_last_four) = 4 AND length(identity_last_four) = 4),
    CONSTRAINT of_a_name_one_character_is_shown CHECK (name_masked ~ '^.?\*+$'),
    CONSTRAINT an_authorized_amount_is_in_fen CHECK (amount > 0 AND amount < 10000000000 AND amount = round(amount, 2))
);
