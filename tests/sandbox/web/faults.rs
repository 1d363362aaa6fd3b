//! Each fault does what it says to the caller of a page's address, and the books show whether money moved.

use tillgate::sandbox::{BrowseError, Fault, Times};

use super::harness::*;

/// What a caller can see of an answer.
#[derive(Debug, PartialEq)]
enum Seen {
    /// No answer, or not a whole one.
    Nothing,
    Status500,
    /// HTTP 200 with something that is no redirect.
    NoRedirect,
    /// Where it leads.
    Sent(String),
}

async fn look(shop: &Shop, params: &Form) -> Seen {
    match try_to_open(&pay_url(shop, params)).await {
        None => Seen::Nothing,
        Some((500, None, _)) => Seen::Status500,
        Some((200, None, _)) => Seen::NoRedirect,
        Some((302, Some(location), _)) => Seen::Sent(location),
        Some(other) => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_shows_the_server_one_thing_and_the_books_another() {
    let shop = Shop::open().await;
    let sent = |params: &Form, code| Seen::Sent(outcome(params, code));
    type Expected<'a> = Box<dyn Fn(&Form) -> Seen + 'a>;
    let cases: [(Fault, Expected, usize); 14] = [
        (Fault::LoseBefore, Box::new(|_| Seen::Nothing), 0),
        (Fault::LoseAfter, Box::new(|_| Seen::Nothing), 1),
        (Fault::Delay(1), Box::new(|params| sent(params, 1)), 1),
        (Fault::Error500Before, Box::new(|_| Seen::Status500), 0),
        (Fault::Error500After, Box::new(|_| Seen::Status500), 1),
        (Fault::GarbageBefore, Box::new(|_| Seen::NoRedirect), 0),
        (Fault::GarbageAfter, Box::new(|_| Seen::NoRedirect), 1),
        (Fault::TruncatedAfter, Box::new(|_| Seen::Nothing), 1),
        (Fault::EmptyAfter, Box::new(|_| Seen::NoRedirect), 1),
        (Fault::Code(24), Box::new(|params| sent(params, 24)), 0),
        (Fault::CallbackFirst, Box::new(|params| sent(params, 1)), 1),
        (Fault::NoRedirect, Box::new(|_| Seen::NoRedirect), 1),
        (Fault::BareRedirect, Box::new(|_| Seen::Sent(BACK.to_owned())), 1),
        (Fault::WrongEcho, Box::new(|params| sent(&with(params, "amount", "110.50"), 1)), 1),
    ];
    for (number, (fault, seen, executions)) in cases.into_iter().enumerate() {
        let params = payment(&shop, "2", &format!("p{number}"));
        shop.sandbox.fault("web_pay_user", fault.clone());
        assert_eq!(look(&shop, &params).await, seen(&params), "{fault:?}");
        assert_eq!(shop.sandbox.executions(&params["trade_id"]), executions, "{fault:?}");
        let again = if executions == 0 { 1 } else { 211 };
        assert_eq!(look(&shop, &params).await, sent(&params, again), "{fault:?} is used up");
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_payout_waits_for_its_release() {
    for (fault, seen, while_held, executions) in [(Fault::HangBefore, 0, 0, 0), (Fault::HangAfter, 1, 1, 1), (Fault::HangLate, 1, 0, 1)] {
        let shop = Shop::open().await;
        let params = payment(&shop, "2", "p1");
        shop.sandbox.inject("web_pay_user", Some("p1"), fault.clone(), Times::Count(1));
        let release = async {
            shop.sandbox.wait_for_held(1).await;
            assert_eq!(shop.sandbox.executions("p1"), while_held, "{fault:?}");
            shop.sandbox.release();
        };
        let (held, ()) = tokio::join!(look(&shop, &params), release);
        assert_eq!(held, if seen == 0 { Seen::Nothing } else { Seen::Sent(outcome(&params, seen)) }, "{fault:?}");
        assert_eq!(shop.sandbox.executions("p1"), executions, "{fault:?}");
        shop.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_press_can_go_wrong_in_the_same_ways() {
    let shop = Shop::open().await;
    let params = payment(&shop, "1", "t1");
    let page = open(&pay_url(&shop, &params)).await.page();
    shop.sandbox.inject("web_pay", Some("t1"), Fault::Code(5), Times::Count(2));
    assert_eq!(press(&page, "pay", None).await.sent(), outcome(&params, 5));
    assert_eq!(shop.sandbox.browse_pay(&pay_url(&shop, &params), true).await, Ok(outcome(&params, 5)));
    shop.sandbox.fault("web_pay", Fault::LoseBefore);
    assert_eq!(shop.sandbox.browse_pay(&pay_url(&shop, &params), true).await, Err(BrowseError::NoAnswer));
    assert_eq!(shop.sandbox.executions("t1"), 0);
    shop.sandbox.fault("web_pay", Fault::LoseAfter);
    assert!(submit(&page, "pay", None).await.is_err());
    assert_eq!(shop.sandbox.executions("t1"), 1, "the user has paid and never comes back");

    for (fault, seen) in [(Fault::WrongEcho, 1), (Fault::TruncatedAfter, 1)] {
        let trade_id = format!("{fault:?}");
        let params = payment(&shop, "1", &trade_id);
        shop.sandbox.fault("web_pay", fault.clone());
        let expected = if fault == Fault::WrongEcho { with(&params, "amount", "110.50") } else { params.clone() };
        assert_eq!(shop.sandbox.browse_pay(&pay_url(&shop, &params), true).await, Ok(outcome(&expected, seen)), "{fault:?}");
        assert_eq!(shop.sandbox.executions(&trade_id), 1);
    }
    shop.sandbox.fault("web_pay", Fault::NoRedirect);
    assert!(stayed(shop.sandbox.browse_pay(&pay_url(&shop, &payment(&shop, "1", "t9")), true).await).contains("Thank you"));
    shop.sandbox.fault("web_pay_page", Fault::Code(5));
    assert!(open(&pay_url(&shop, &payment(&shop, "1", "t10"))).await.page().html.contains("Error 5: "));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn agreeing_can_go_wrong_too() {
    let shop = Shop::open().await;
    let url = authorize_url(&shop, &to_agree());
    let browse = || shop.sandbox.browse_authorize(&url, "u1", true);
    shop.sandbox.fault("web_authorize", Fault::Code(5));
    assert_eq!(browse().await.expect("a redirect"), format!("{BACK}?error=server_error&error_description=5&state=s+%261"));
    shop.sandbox.fault("web_authorize", Fault::BareRedirect);
    assert_eq!(browse().await.expect("a redirect"), BACK);
    shop.sandbox.fault("web_authorize", Fault::WrongEcho);
    let location = browse().await.expect("a redirect");
    assert_eq!(param(&location, "state"), "1s &1");
    assert!(shop.call(TOKEN, &exchange(&param(&location, "code"))).await.get("access_token").is_some());
    shop.sandbox.fault("web_authorize", Fault::GarbageAfter);
    assert_eq!(browse().await, Err(BrowseError::NoAnswer));
    shop.sandbox.fault("web_authorize_page", Fault::Error500Before);
    assert_eq!(try_to_open(&url).await.map(|(status, _, _)| status), Some(500));
    shop.sandbox.fault("pay_user", Fault::WrongEcho);
    assert_eq!(shop.pay_user("p1").await["status"], 1, "calls that do not redirect are as ever");
    shop.close().await;
}
