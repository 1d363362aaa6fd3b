//! Paying in a browser.

use rust_decimal::Decimal;

use super::harness::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_user_pays_on_a_page_and_the_money_has_moved() {
    let shop = Shop::open().await;
    let params = payment(&shop, "1", "t1");
    let page = open(&pay_url(&shop, &params)).await.page();
    assert_eq!(page.status, 200);
    for shown in ["<strong>acme</strong>", "<strong>10.50 usdt</strong>", "<strong>Ann (u1)</strong>", "t1"] {
        assert!(page.html.contains(shown), "{shown} in {}", page.html);
    }
    assert_eq!(shop.sandbox.executions("t1"), 0);
    assert_eq!(press(&page, "pay", None).await.sent(), outcome(&params, 1));
    assert_eq!(shop.balances(), ["89.50", "1010.50", "0"].map(amount));
    assert_eq!((shop.sandbox.executions("t1"), shop.sandbox.pending_callbacks().len()), (1, 0));

    assert_eq!(press(&page, "pay", None).await.sent(), outcome(&params, 211), "a second press");
    assert_eq!(open(&pay_url(&shop, &params)).await.sent(), outcome(&params, 211));
    assert_eq!(shop.sandbox.executions("t1"), 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_cancels_is_sent_back_and_may_pay_later() {
    let shop = Shop::open().await;
    let params = payment(&shop, "1", "t1");
    let page = open(&pay_url(&shop, &params)).await.page();
    assert_eq!(press(&page, "cancel", None).await.sent(), outcome(&params, 0));
    assert!(shop.sandbox.books().is_empty());
    assert_eq!(press(&page, "pay", None).await.sent(), outcome(&params, 1));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_machines_way_is_the_browsers_way() {
    let shop = Shop::open().await;
    for (approve, button) in [(false, "cancel"), (true, "pay")] {
        let (one, two) = (payment(&shop, "1", "t1"), payment(&shop, "1", "t2"));
        let page = open(&pay_url(&shop, &one)).await.page();
        let by_hand = press(&page, button, None).await.sent();
        let by_machine = shop.sandbox.browse_pay(&pay_url(&shop, &two), approve).await.expect("a redirect");
        assert_eq!(by_hand.replace("t1", "t2"), by_machine);
        assert_eq!(shop.sandbox.executions("t1"), shop.sandbox.executions("t2"));
    }
    let payout = payment(&shop, "2", "p1");
    let sent = shop.sandbox.browse_pay(&pay_url(&shop, &payout), true).await;
    assert_eq!(sent, Ok(outcome(&payout, 54)), "no browser pays out");
    let elsewhere = shop.sandbox.browse_pay(&authorize_url(&shop, &to_agree()), true).await;
    assert_eq!(elsewhere, Err(tillgate::sandbox::BrowseError::OtherPage));
    shop.close().await;
}

/// What is refused and sent back: a parameter, its value, the code. Payouts are refused in the same way.
pub const CHECKS: [(&str, &str, i64); 19] = [
    ("sign", "da39a3ee5e6b4b0d3255bfef95601890afd80709", 7),
    ("timestamp", "1700000001", 7),
    ("timestamp", "yesterday", 0),
    ("scope", "userinfo", 54),
    ("response_type", "token", 0),
    ("coin_id", "77", 23),
    ("coin_id", "9", 21),
    ("amount", "0", 0),
    ("amount", "-1", 0),
    ("amount", "1e3", 0),
    ("amount", "1.0000001", 0),
    ("amount", "<b>1</b>", 0),
    ("user_id", "nobody", 74),
    ("user_id", "u2", 3),
    ("access_token", "guess", 3),
    ("amount", "", 0),
    ("trade_id", "", 0),
    ("access_token", "", 0),
    ("state", "", 0),
];

/// Without a right app and its redirect_uri nobody is sent anywhere.
pub const NO_WAY_BACK: [(&str, &str, i64); 6] = [
    ("client_id", "", 0),
    ("client_id", "not an id!", 80),
    ("client_id", "<b>nobody</b>", 80),
    ("client_id", "nobody", 82),
    ("redirect_uri", "", 0),
    ("redirect_uri", "https://evil.example/", 54),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_check_sends_the_user_back_with_its_code() {
    let shop = Shop::open().await;
    shop.sandbox.create_user("u2", "Bob", &[]);
    let good = payment(&shop, "1", "t1");
    for (name, value, code) in CHECKS.into_iter().chain([("direction", "3", 54), ("server_uri", "ftp://shop.example/", 0)]) {
        let params = with(&good, name, value);
        assert_eq!(open(&pay_url(&shop, &params)).await.sent(), outcome(&params, code), "{name}={value}");
        let by_machine = shop.sandbox.browse_pay(&pay_url(&shop, &params), true).await;
        assert_eq!(by_machine, Ok(outcome(&params, code)), "{name}={value}");
    }
    for (name, value, code) in NO_WAY_BACK {
        let url = pay_url(&shop, &with(&good, name, value));
        let page = open(&url).await.page();
        assert_eq!(page.status, 400);
        assert!(page.html.contains(&format!("Error {code}: ")), "{name}={value}: {}", page.html);
        assert_eq!(stayed(shop.sandbox.browse_pay(&url, true).await), page.html);
        assert_eq!(stayed(shop.sandbox.browse_pay(&url, false).await), page.html);
    }
    assert!(shop.sandbox.books().is_empty());
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_enough_money_sees_the_page_and_is_sent_back() {
    let shop = Shop::open().await;
    let params = with(&payment(&shop, "1", "t1"), "amount", "100.000001");
    let page = open(&pay_url(&shop, &params)).await.page();
    assert_eq!(press(&page, "pay", None).await.sent(), outcome(&params, 24));
    assert_eq!(press(&page, "pay", None).await.sent(), outcome(&params, 24), "the trade_id is still free");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signature_and_token_age_while_the_page_is_open() {
    let shop = Shop::open().await;
    let params = payment(&shop, "1", "t1");
    let page = open(&pay_url(&shop, &params)).await.page();
    shop.sandbox.advance(600);
    let fresh = open(&pay_url(&shop, &params)).await.page();
    shop.sandbox.advance(1);
    assert_eq!(press(&page, "pay", None).await.sent(), outcome(&params, 8));
    assert_eq!(press(&fresh, "cancel", None).await.sent(), outcome(&params, 0), "one can always cancel");
    shop.sandbox.advance(3600 - 601);
    let then = NOW + 3600;
    let signed = with(&with(&params, "timestamp", &then.to_string()), "sign", &sign(then));
    assert_eq!(open(&pay_url(&shop, &signed)).await.sent(), outcome(&signed, 2));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_pays_only_for_what_it_was_given() {
    let shop = Shop::open().await;
    let narrow = authorize_url(&shop, &with(&to_agree(), "scope", "userinfo"));
    let code = param(&shop.sandbox.browse_authorize(&narrow, "u1", true).await.expect("a redirect"), "code");
    let tokens = shop.call(TOKEN, &with(&exchange(&code), "scope", "userinfo")).await;
    let params = with(&payment(&shop, "1", "t1"), "access_token", &text(&tokens, "/access_token"));
    assert_eq!(open(&pay_url(&shop, &params)).await.sent(), outcome(&params, 54));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_says_is_shown_as_text_and_goes_back_as_it_came() {
    let shop = Shop::open().await;
    let nasty = "'\"><script>alert(1)</script>&amp;{}";
    let params = with(&with(&payment(&shop, "1", nasty), "state", nasty), "server_uri", &shop.receiver.url);
    let page = open(&pay_url(&shop, &params)).await.page();
    assert!(page.html.contains("Its order is &#39;&quot;&gt;&lt;script&gt;"), "{}", page.html);
    let location = press(&page, "pay", None).await.sent();
    assert_eq!(query(&location), query(&outcome(&params, 1)));
    assert_eq!(shop.sandbox.executions(nasty), 1);
    assert_eq!(shop.sandbox.pending_callbacks().len(), 1, "who names a server_uri is called back");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_redirect_uri_can_be_registered_and_keeps_its_own_query() {
    let shop = Shop::open().await;
    let back = "http://127.0.0.1:8080/return?shop=7";
    assert!(shop.sandbox.set_redirect_uri("acme", back));
    assert!(!shop.sandbox.set_redirect_uri("nobody", back));
    let old = payment(&shop, "1", "t1");
    assert_eq!(open(&pay_url(&shop, &old)).await.page().status, 400);
    let params = with(&old, "redirect_uri", back);
    let location = shop.sandbox.browse_pay(&pay_url(&shop, &params), true).await.expect("a redirect");
    assert!(location.starts_with("http://127.0.0.1:8080/return?shop=7&status=1&trade_id=t1&"), "{location}");
    assert_eq!(param(&location, "redirect_uri"), back);
    assert_eq!(shop.sandbox.balance("u1", USDT), Decimal::new(8950, 2));
    shop.close().await;
}
