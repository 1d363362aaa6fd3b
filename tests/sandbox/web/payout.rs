//! Payouts by the address of a page, ordered by a server.

use tillgate::sandbox::CallbackFault;

use super::harness::*;
use super::pay::{CHECKS, NO_WAY_BACK};

async fn pay_out(shop: &Shop, params: &Form) -> String {
    open(&pay_url(shop, params)).await.sent()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_is_executed_at_once_without_a_page_or_a_password() {
    let shop = Shop::open().await;
    let params = payment(&shop, "2", "p1");
    assert_eq!(pay_out(&shop, &params).await, outcome(&params, 1));
    assert_eq!(shop.balances(), ["110.50", "989.50", "0"].map(amount));
    assert_eq!(pay_out(&shop, &params).await, outcome(&params, 211));
    assert_eq!(shop.sandbox.calls_for("web_pay_user", "p1"), 2);
    assert!(shop.sandbox.call_log().iter().all(|call| !call.params.contains_key("access_token")));

    shop.sandbox.set_duplicate_check(false);
    assert_eq!(pay_out(&shop, &params).await, outcome(&params, 1), "asked for by a setting");
    assert_eq!((shop.sandbox.executions("p1"), shop.sandbox.pending_callbacks().len()), (2, 0));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_check_refuses_with_its_code() {
    let shop = Shop::open().await;
    shop.sandbox.create_user("u2", "Bob", &[]);
    let good = payment(&shop, "2", "p1");
    for (name, value, code) in CHECKS.into_iter().chain([("amount", "1000.000001", 24)]) {
        let params = with(&good, name, value);
        assert_eq!(pay_out(&shop, &params).await, outcome(&params, code), "{name}={value}");
    }
    for (name, value, code) in NO_WAY_BACK {
        let page = open(&pay_url(&shop, &with(&good, name, value))).await.page();
        assert!(page.html.contains(&format!("Error {code}: ")), "{name}={value}: {}", page.html);
    }
    let posted = shop.send("oauth2/authorize/pay", &good).await.expect("an answer");
    assert_eq!(posted.status(), 400, "a form is the page's own way");
    assert!(shop.sandbox.books().is_empty());
    assert_eq!(pay_out(&shop, &good).await, outcome(&good, 1));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_can_fail_at_the_provider() {
    let shop = Shop::open().await;
    let params = payment(&shop, "2", "p1");
    shop.sandbox.callback_fault("p1", CallbackFault::Failed);
    assert_eq!(pay_out(&shop, &params).await, outcome(&params, 5));
    assert_eq!(pay_out(&shop, &params).await, outcome(&params, 211), "it has ended");
    assert!(shop.sandbox.books().is_empty());
    shop.close().await;
}
