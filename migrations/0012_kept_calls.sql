-- A task says which open call it is kept for: whoever settles the order in the moment in which that call is opened sees it in
-- the row itself, and leaves the task to whoever makes the call, or writes it off.
ALTER TABLE tasks ADD COLUMN attempt_id uuid;
UPDATE tasks t SET attempt_id = a.attempt_id FROM attempts a
WHERE a.merchant_id = t.merchant_id AND a.order_id = t.order_id AND a.state = 'open';

-- Calls that nobody keeps: the next look writes them off.
INSERT INTO tasks (merchant_id, order_id, work, due_at, tries, attempt_id)
SELECT a.merchant_id, a.order_id, 'look', now(), 0, a.attempt_id FROM attempts a WHERE a.state = 'open'
ON CONFLICT DO NOTHING;
