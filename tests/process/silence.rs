//! A database whose machine goes away and closes nothing: nobody waits for it for ever.

use crate::chaos::Dice;
use crate::database::behind;
use crate::house::House;
use crate::moments::stop;
use crate::program::until;
use crate::proxy::Proxy;
use crate::talk::payout_wish;

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_falls_silent_is_asked_over_new_connections() {
    let (house, line) = (House::open().await, Proxy::open(Dice(1)).await);
    let database = behind(&line, &house.database);
    let settings = [("TILLGATE__DATABASE__URL", database.as_str()), ("TILLGATE__DATABASE__STATEMENT_TIMEOUT", "500ms")];
    let gateway = house.serve_with("api", &settings).await;
    house.payout("before").await;
    line.silence_all();

    let wish = payout_wish("the-payout");
    let first = house.post("/v1/payouts", &wish).await;
    assert_eq!((first.status, first.text("code")), (503, "unavailable"), "{first:?}");
    until("there are new connections", async || (house.post("/v1/payouts", &wish).await.status == 201).then_some(())).await;
    stop(gateway).await;
    house.close().await;
}
