-- The least that a durable write can be.
INSERT INTO bare.one VALUES (:client_id);
