use super::tests::{call, fomo, token};
use super::*;
use crate::domain::report::{Outcome, Standing};
use crate::providers::test_server::{Line, Then, json};
use crate::providers::{Links, Side, UserPayouts, WebDeposits};

const OUTCOME: &str = "status=1&trade_id=t-1&amount=12.5&coin_id=5&user_id=77&access_token=user-token&client_id=acme\
                       &redirect_uri=https%3A%2F%2Facme.example%2Freturn&state=s";

/// A redirect to this address.
fn redirect(location: &str) -> Line {
    Line(format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n").into_bytes(), Then::Keep)
}

async fn paid(line: Line) -> Answer {
    let (fomo, _server) = fomo(vec![line]).await;
    let token = token();
    web::FomoWeb(Arc::new(fomo)).pay_user(&call(), Side { user: "77", access_token: Some(&token) }).await
}

#[tokio::test]
async fn the_page_for_paying_in_has_all_parameters_and_our_state() {
    let (fomo, _server) = fomo(Vec::new()).await;
    let token = token();
    let web = web::FomoWeb(Arc::new(fomo));
    let page = web.pay_page(&call(), Side { user: "77", access_token: Some(&token) }, "our-state").unwrap();
    let page = Url::parse(page.expose_secret()).unwrap();
    assert!(page.path().ends_with("/oauth2/authorize/pay"));
    let pairs: Vec<(String, String)> = page.query_pairs().into_owned().collect();
    let expected = [
        ("direction", "1"),
        ("timestamp", "1551325752"),
        ("sign", "579e794a0a095f755253e9f8bf6ab8f3145086d9"),
        ("trade_id", "t-1"),
        ("amount", "12.5"),
        ("coin_id", "5"),
        ("user_id", "77"),
        ("access_token", "user-token"),
        ("client_id", "acme"),
        ("redirect_uri", "https://acme.example/return"),
        ("state", "our-state"),
        ("scope", "paytoken"),
        ("response_type", "code"),
    ];
    assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert!(web.pay_page(&call(), Side { user: "77", access_token: None }, "s").is_err());
}

#[tokio::test]
async fn a_payout_is_read_from_where_the_page_would_send_a_browser() {
    let (fomo, server) = fomo(vec![redirect(&format!("https://acme.example/return?{OUTCOME}"))]).await;
    let token = token();
    let answer = web::FomoWeb(Arc::new(fomo)).pay_user(&call(), Side { user: "77", access_token: Some(&token) }).await;
    assert!(matches!(&answer.outcome, Outcome::Accepted(record) if record.standing == Standing::Paid), "{answer:?}");
    let kept = String::from_utf8(answer.evidence.unwrap().raw).unwrap();
    assert!(kept.contains("trade_id=t-1") && !kept.contains("user-token"), "{kept}");
    let [seen] = server.seen().try_into().unwrap();
    assert!(seen.request_line().starts_with("GET ") && seen.request_line().contains("direction=2"), "{}", seen.request_line());
}

#[tokio::test]
async fn what_is_no_clear_outcome_of_this_payout_is_unknown() {
    let here = "https://acme.example/return";
    let changed = |from: &str, to: &str| redirect(&format!("{here}?{}", OUTCOME.replace(from, to)));
    for (what, line) in [
        ("no redirect", json(200, "<html>")),
        ("an address of somebody else", redirect(&format!("https://evil.example/return?{OUTCOME}"))),
        ("another path", redirect(&format!("{here}/x?{OUTCOME}"))),
        ("no query", redirect(here)),
        ("no status", changed("status=1&", "")),
        ("two statuses", changed("status=1&", "status=1&status=24&")),
        ("another trade id", changed("trade_id=t-1", "trade_id=t-2")),
        ("another amount", changed("amount=12.5", "amount=12.6")),
        ("another coin", changed("coin_id=5", "coin_id=6")),
        ("another user", changed("user_id=77", "user_id=78")),
        ("no echo", redirect(&format!("{here}?status=1"))),
        ("a refusal without echo", redirect(&format!("{here}?status=24"))),
        ("an internal error", changed("status=1", "status=5")),
        ("an unlisted code", changed("status=1", "status=999")),
        (
            "a success that is no redirect",
            Line(format!("HTTP/1.1 200 OK\r\nLocation: {here}?{OUTCOME}\r\nContent-Length: 0\r\n\r\n").into_bytes(), Then::Keep),
        ),
    ] {
        let answer = paid(line).await;
        assert!(matches!(answer.outcome, Outcome::Unknown(_)), "{what}: {answer:?}");
    }
    for (status, refused) in [("24", true), ("74", true), ("7", false), ("8", false)] {
        let answer = paid(changed("status=1", &format!("status={status}"))).await;
        assert_eq!(matches!(answer.outcome, Outcome::Refused(_)), refused, "{answer:?}");
        assert_eq!(matches!(answer.outcome, Outcome::Misconfigured(_)), !refused, "{answer:?}");
    }
}

#[tokio::test]
async fn what_a_browser_brings_back_is_read_whole_or_not_at_all_and_kept_without_the_token() {
    let (fomo, _server) = fomo(Vec::new()).await;
    let web = web::FomoWeb(Arc::new(fomo));
    let returned = web.read_return(OUTCOME).unwrap();
    assert_eq!((returned.record.standing, returned.record.trade_id.as_deref()), (Standing::Paid, Some("t-1")));
    assert!(!String::from_utf8(returned.evidence.raw).unwrap().contains("user-token"));
    assert_eq!(web.read_return(&OUTCOME.replace("status=1", "status=24")).unwrap().record.standing, Standing::Failed);
    for wrong in ["status=1", "trade_id=t-1", "amount=12.5", "coin_id=5", "user_id=77"] {
        assert!(web.read_return(&OUTCOME.replace(wrong, "x=y")).is_err(), "without {wrong}");
    }
    assert!(web.read_return(&OUTCOME.replace("client_id=acme", "client_id=rival")).is_err());
    assert!(web.read_return(&format!("{OUTCOME}&status=24")).is_err());
}

#[tokio::test]
async fn a_browser_is_sent_to_agree_to_known_scopes_only() {
    let (fomo, _server) = fomo(Vec::new()).await;
    let ours = "https://pay.example/oauth/fomo/return".parse().unwrap();
    let url = fomo.authorize_url("s1", None, &ours).unwrap();
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let expected = [
        ("response_type", "code"),
        ("client_id", "acme"),
        ("redirect_uri", "https://acme.example/return"),
        ("state", "s1"),
        ("scope", "userinfo paytoken"),
    ];
    assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert!(fomo.authorize_url("s1", Some("paytoken"), &ours).unwrap().query().unwrap().ends_with("scope=paytoken"));
    for scope in ["", "all", "userinfo all"] {
        assert!(fomo.authorize_url("s1", Some(scope), &ours).is_err(), "{scope:?}");
    }
}
