-- The task of an open order is written twice whenever a wallet is asked about it. On a page with room, taking it needs no new entry in
-- any index.
ALTER TABLE tasks SET (fillfactor = 70);
