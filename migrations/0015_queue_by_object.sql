-- What comes next of an object is found by the object: no other index of the queue begins with it, so that none looks as good to a
-- planner who thinks that the queue is empty; and the search ends with the object, whatever else is queued or has gone from the queue.
-- The key is the delivery: it is of one event and one endpoint, and so of one place.
ALTER TABLE webhook_queue
    DROP CONSTRAINT an_object_has_one_delivery_of_a_place,
    ADD CONSTRAINT a_delivery_is_queued_once PRIMARY KEY (merchant_id, delivery_id);
DROP INDEX queued_delivery;
CREATE INDEX queued_by_object ON webhook_queue (object_id, endpoint_id, place);
