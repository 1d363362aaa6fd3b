-- A task says of which step of its order it is. Who changes an order holds the order's row and writes its task, or takes it away;
-- who has nothing new to tell holds nothing, and must not write over that, nor bring back what was taken away.
-- Zero: of the order as it was made.
ALTER TABLE tasks ADD COLUMN sequence bigint NOT NULL DEFAULT 0;
