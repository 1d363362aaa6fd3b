-- What comes next of an object is found by the object: no other index of the queue begins with it, so that none looks as good to a
-- planner who thinks that the queue is empty; and the search ends with the object, whatever else is queued or has gone from the queue.
ALTER TABLE webhook_queue
    DROP CONSTRAINT an_object_has_one_delivery_of_a_place,
    ADD CONSTRAINT an_object_has_one_delivery_of_a_place PRIMARY KEY (object_id, endpoint_id, place, merchant_id);
