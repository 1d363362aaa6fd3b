-- A page of a list begins at a place of one index and ends with its kind or customer, whatever the planner knows of the table. For
-- that the index is in the order in which rows are compared; new orders go to the end of it, too, so that its pages are full.
CREATE INDEX orders_of_a_kind ON orders (merchant_id, kind, order_id);
CREATE INDEX orders_of_a_customer ON orders (merchant_id, customer, order_id) WHERE customer IS NOT NULL;
DROP INDEX orders_of_a_kind_newest_first, orders_of_a_customer_newest_first;
