-- What goes through a customer's browser: links that are being made, and where browsers go back to.

-- A browser that was sent to a provider to agree to a link. It comes back once, with the state.
CREATE TABLE link_requests (
    merchant_id  uuid        NOT NULL,
    request_id   uuid        NOT NULL,
    -- A keyed hash of the state: who reads this table cannot come back in somebody's place.
    state_hash   bytea       NOT NULL,
    customer     text        NOT NULL,
    provider     text        NOT NULL,
    -- The merchant's page where the browser goes in the end.
    return_url   text        NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    -- Absent: it has not come back.
    used_at      timestamptz,
    CONSTRAINT a_link_request_has_one_id PRIMARY KEY (merchant_id, request_id),
    CONSTRAINT a_link_request_belongs_to_an_account FOREIGN KEY (merchant_id, provider) REFERENCES provider_accounts
);
-- A door where the tenant is not known yet: the state tells it.
CREATE INDEX a_link_request_is_found_by_its_state ON link_requests (state_hash);

-- Where the customer's browser goes after a payment on the provider's page.
ALTER TABLE orders ADD COLUMN return_url text;

-- One wallet account may be linked to several customers where the merchant's account says so.
ALTER TABLE wallet_links ADD COLUMN exclusive boolean NOT NULL DEFAULT true;
ALTER TABLE wallet_links DROP CONSTRAINT a_wallet_account_is_linked_to_one_customer;
CREATE UNIQUE INDEX a_wallet_account_is_linked_to_one_customer ON wallet_links (merchant_id, provider, provider_user) WHERE exclusive;
CREATE INDEX links_of_a_wallet_account ON wallet_links (merchant_id, provider, provider_user);
