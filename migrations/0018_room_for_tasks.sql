-- The task of an open order is written twice whenever a wallet is asked about it. On a page with room, taking it needs no new entry in
-- any index.
ALTER TABLE tasks SET (fillfactor = 70);
-- Though nearly all tasks may be of one merchant and lane: a page of another's is not looked for among them.
ALTER TABLE tasks ALTER COLUMN merchant_id SET (n_distinct = 1000), ALTER COLUMN lane SET (n_distinct = 1000);
ANALYZE tasks;
