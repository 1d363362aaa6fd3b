//! Each fault does what it says to the caller, and the books show whether the call was executed.

use tillgate::sandbox::{CallbackFault, Fault, Options, Times};

use super::harness::{Shop, form, text};

const PAY_USER: &str = "oauth2/authorize/pay_user";

/// What a caller can see of an answer.
#[derive(Debug, PartialEq)]
enum Seen {
    NoAnswer,
    BrokenBody,
    NotJson,
    Status500,
    Code(i64),
}

async fn look(shop: &Shop, trade_id: &str) -> Seen {
    let Ok(response) = shop.send(PAY_USER, &shop.pay_user_form(trade_id)).await else {
        return Seen::NoAnswer;
    };
    if response.status() == 500 {
        return Seen::Status500;
    }
    let Ok(body) = response.text().await else {
        return Seen::BrokenBody;
    };
    match serde_json::from_str::<serde_json::Value>(&body) {
        Ok(answer) => Seen::Code(answer["status"].as_i64().expect("a status")),
        Err(_) => Seen::NotJson,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_shows_the_caller_one_thing_and_the_books_another() {
    let cases = [
        (Fault::LoseBefore, Seen::NoAnswer, 0),
        (Fault::LoseAfter, Seen::NoAnswer, 1),
        (Fault::Delay(1), Seen::Code(1), 1),
        (Fault::Error500Before, Seen::Status500, 0),
        (Fault::Error500After, Seen::Status500, 1),
        (Fault::GarbageBefore, Seen::NotJson, 0),
        (Fault::GarbageAfter, Seen::NotJson, 1),
        (Fault::TruncatedAfter, Seen::BrokenBody, 1),
        (Fault::EmptyAfter, Seen::NotJson, 1),
        (Fault::Code(24), Seen::Code(24), 0),
        (Fault::CallbackFirst, Seen::Code(1), 1),
    ];
    let shop = Shop::open().await;
    for (number, (fault, seen, executions)) in cases.into_iter().enumerate() {
        let trade_id = format!("p{number}");
        shop.sandbox.fault("pay_user", fault.clone());
        assert_eq!(look(&shop, &trade_id).await, seen, "{fault:?}");
        assert_eq!(shop.sandbox.executions(&trade_id), executions, "{fault:?}");
        let again = if executions == 0 { 1 } else { 211 };
        assert_eq!(look(&shop, &trade_id).await, Seen::Code(again), "{fault:?} is used up");
        assert_eq!(shop.sandbox.calls_for("pay_user", &trade_id), 2);
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_fails_after_the_request_was_sent() {
    let shop = Shop::open().await;
    shop.sandbox.fault("pay_user", Fault::LoseAfter);
    let error = shop.send(PAY_USER, &shop.pay_user_form("p1")).await.expect_err("no answer");
    assert!(error.is_request() && !error.is_connect(), "{error:?}");
    assert_eq!(shop.sandbox.calls("pay_user"), 1, "the client does not resend by itself");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_answer_waits_for_its_release() {
    for (fault, seen, while_held, executions) in
        [(Fault::HangBefore, Seen::NoAnswer, 0, 0), (Fault::HangAfter, Seen::Code(1), 1, 1), (Fault::HangLate, Seen::Code(1), 0, 1)]
    {
        let shop = Shop::open().await;
        shop.sandbox.fault("pay_user", fault.clone());
        let release = async {
            shop.sandbox.wait_for_held(1).await;
            assert_eq!(shop.sandbox.executions("p1"), while_held, "{fault:?}");
            shop.sandbox.release();
        };
        let (held, ()) = tokio::join!(look(&shop, "p1"), release);
        assert_eq!(held, seen, "{fault:?}");
        assert_eq!(shop.sandbox.executions("p1"), executions, "{fault:?}");
        shop.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_call_is_executed_although_the_caller_has_gone() {
    let mut shop = Shop::open_with(Options { time_scale: 10_000, ..Options::default() }).await;
    shop.sandbox.fault("pay_user", Fault::HangLate);
    let url = format!("{}{PAY_USER}", shop.sandbox.fomo_base_url());
    let request = shop.http.post(url).form(&shop.pay_user_form("p1"));
    let caller = tokio::spawn(request.send());
    shop.sandbox.wait_for_held(1).await;
    caller.abort();
    assert!(caller.await.is_err_and(|error| error.is_cancelled()));
    assert_eq!(shop.sandbox.executions("p1"), 0);
    shop.sandbox.release();
    assert_eq!(shop.receiver.next().await["trade_id"], "p1");
    assert_eq!(shop.sandbox.executions("p1"), 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_can_come_before_the_answer() {
    let mut shop = Shop::open().await;
    shop.receiver.answers(204);
    shop.sandbox.fault("pay_user", Fault::CallbackFirst);
    let answer = shop.pay_user("p1").await;
    assert_eq!(answer["data"][0]["httpcode"], 204);
    assert_eq!(shop.receiver.drain().len(), 1);
    assert_eq!(shop.sandbox.pending_callbacks().len(), 1, "only 200 counts as delivered");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_strike_in_order_so_often_and_only_where_they_are_meant_to() {
    let shop = Shop::open().await;
    shop.sandbox.inject("pay_user", Some("p2"), Fault::Code(5), Times::Count(2));
    shop.sandbox.fault("pay_user", Fault::Code(54));
    assert_eq!(look(&shop, "p1").await, Seen::Code(54));
    assert_eq!(look(&shop, "p1").await, Seen::Code(1));
    assert_eq!(look(&shop, "p2").await, Seen::Code(5));
    assert_eq!(look(&shop, "p2").await, Seen::Code(5));
    assert_eq!(look(&shop, "p2").await, Seen::Code(1));

    shop.sandbox.inject("pay_user", None, Fault::LoseBefore, Times::Forever);
    for _ in 0..3 {
        assert_eq!(look(&shop, "p3").await, Seen::NoAnswer);
    }
    shop.sandbox.clear_faults();
    assert_eq!(look(&shop, "p3").await, Seen::Code(1));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_can_fail() {
    let shop = Shop::open().await;
    let paths = [
        ("authorize", "oauth2/authorize"),
        ("token", "oauth2/authorize/token"),
        ("refresh", "oauth2/RefreshToken"),
        ("get_user_info", "oauth2/resource/get_user_info"),
        ("pre_pay", "oauth2/resource/pre_pay"),
        ("confirm_pay", "oauth2/authorize/confirm_pay"),
        ("get_transfer_detail", "oauth2/resource/get_transfer_detail"),
        ("get_active_coins", "wallet/get_active_coins"),
    ];
    for (operation, path) in paths {
        shop.sandbox.fault(operation, Fault::Code(107));
        let answer = shop.call(path, &form([])).await;
        assert_eq!((answer["status"].as_i64(), text(&answer, "/msg").as_str()), (Some(107), "查询不到用户注册信息"));
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detail_fault_finds_its_order_by_the_transfer() {
    let shop = Shop::open().await;
    let first = text(&shop.pre_pay("t1").await, "/transfer_id");
    let second = text(&shop.pre_pay("t2").await, "/transfer_id");
    shop.sandbox.inject("get_transfer_detail", Some("t2"), Fault::Code(5), Times::Forever);
    assert_eq!(shop.detail(&first).await["status"], 1);
    assert_eq!(shop.detail(&second).await["status"], 5);
    assert_eq!(shop.sandbox.calls_for("get_transfer_detail", "t2"), 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_whose_answer_is_lost_has_still_paid() {
    let shop = Shop::open().await;
    shop.pre_pay("t1").await;
    shop.sandbox.fault("confirm_pay", Fault::LoseAfter);
    assert_eq!(shop.sandbox.confirm_pay("t1", None).await, None);
    assert_eq!(shop.sandbox.executions("t1"), 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_can_fail_at_the_provider() {
    let mut shop = Shop::open().await;
    shop.pre_pay("t1").await;
    for trade_id in ["t1", "p1"] {
        shop.sandbox.callback_fault(trade_id, CallbackFault::Failed);
    }
    assert_eq!(shop.sandbox.confirm_pay("t1", None).await, Some(5));
    assert_eq!(shop.sandbox.confirm_pay("t1", None).await, Some(213));
    assert_eq!(shop.pay_user("p1").await["status"], 5);
    shop.sandbox.deliver_callbacks().await;
    let told: Vec<_> = shop.receiver.drain().into_iter().map(|one| one["status"].clone()).collect();
    assert_eq!(told, ["0", "0"]);
    assert!(shop.sandbox.books().is_empty());
    shop.close().await;
}
