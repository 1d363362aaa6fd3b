-- Of a status there may be a few orders among millions, and these few are what people ask for.
CREATE INDEX orders_of_a_status ON orders (merchant_id, kind, status, order_id);
-- However few values a table has come to have: a list by one of them goes by the index that begins with it.
ALTER TABLE orders ALTER COLUMN kind SET (n_distinct = 1000), ALTER COLUMN status SET (n_distinct = 1000),
    ALTER COLUMN customer SET (n_distinct = -0.1);
ANALYZE orders;
