-- What books is planned once for each connection. A plan for an array of one looked so much better than one for any array that it was
-- made anew for each order, which took longer than to carry it out.
ALTER FUNCTION book_all(booking[]) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION book_order(orders) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION book_written_receipts() SET plan_cache_mode = force_generic_plan;
