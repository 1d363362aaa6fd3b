use super::*;
use crate::providers::test_server::{Line, TestServer, Then, json};

fn client(timeout: Duration) -> ProviderHttp {
    ProviderHttp::new(timeout, Clock::system()).unwrap()
}

async fn post(http: &ProviderHttp, url: Url) -> Result<Sent, CallFailure> {
    http.send(Call::post("test", url, &[("wallet_pwd", "hidden-secret")])).await
}

/// What one answer comes to; and that it was asked for once.
async fn hear(line: Line) -> Result<Sent, CallFailure> {
    let server = TestServer::start(vec![line, json(200, "{}")]).await;
    let result = post(&client(Duration::from_millis(500)), server.url("pay?token=hidden-secret")).await;
    assert_eq!(server.seen().len(), 1, "{result:?}");
    if let Err(failure) = &result {
        assert!(!format!("{failure:?}").contains("hidden-secret"), "{failure:?}");
    }
    result
}

fn unknown(result: &Result<Sent, CallFailure>) -> bool {
    matches!(result, Err(CallFailure::Unknown(_)))
}

fn not_sent(result: &Result<Sent, CallFailure>) -> bool {
    matches!(result, Err(CallFailure::NotSent(_)))
}

#[tokio::test]
async fn a_complete_answer_of_any_status_is_an_answer() {
    for status in [200, 400, 401, 500, 503] {
        let sent = hear(json(status, "{\"a\":1}")).await.unwrap();
        assert_eq!((sent.status, sent.body.as_slice()), (status, &b"{\"a\":1}"[..]));
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_unknown() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n";
    for (written, then) in [
        ("", Then::Reset),
        ("", Then::Close),
        ("", Then::Hang),
        ("HTTP/1.1 200 OK\r\nconte", Then::Close),
        ("nonsense\r\n\r\n", Then::Close),
        (head, Then::Reset),
        (head, Then::Close),
        (&format!("{head}{{\"a\""), Then::Close),
        (&format!("{head}{{\"a\""), Then::Reset),
        (&format!("{head}{{\"a\""), Then::Hang),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\n{\"a\"\r\n", Then::Close),
    ] {
        let result = hear(Line(written.into(), then)).await;
        assert!(unknown(&result), "{written:?}: {result:?}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_not_read() {
    let body = " ".repeat(BODY_LIMIT + 1);
    let result = hear(json(200, &body)).await;
    assert!(unknown(&result) && format!("{result:?}").contains("longer"), "{result:?}");
    assert_eq!(hear(json(200, &body[1..])).await.unwrap().body.len(), BODY_LIMIT);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let elsewhere = TestServer::start(vec![]).await;
    for status in [301, 302, 303, 307, 308] {
        let head = format!("HTTP/1.1 {status} X\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", elsewhere.url(""));
        assert_eq!(hear(Line(head.into_bytes(), Then::Keep)).await.unwrap().status, status);
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for address in [format!("http://{closed}/"), "http://nowhere.invalid/".to_owned()] {
        let result = post(&client(Duration::from_secs(5)), address.parse().unwrap()).await;
        assert!(not_sent(&result), "{result:?}");
    }
}

#[tokio::test]
async fn a_failed_handshake_of_tls_sends_nothing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let result = post(&client(Duration::from_secs(5)), address.parse().unwrap()).await;
    assert!(not_sent(&result), "{result:?}");
}

#[tokio::test]
async fn past_its_deadline_a_call_does_not_even_connect() {
    let server = TestServer::start(vec![json(200, "{}")]).await;
    let clock = Clock::system();
    let http = client(Duration::from_secs(5));
    let call = Call::post("test", server.url(""), &[]).before(clock.instant());
    let result = http.send(call).await;
    assert!(not_sent(&result), "{result:?}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn the_deadline_bounds_the_wait() {
    let server = TestServer::start(vec![Line(vec![], Then::Hang)]).await;
    let clock = Clock::system();
    let started = clock.instant();
    let call = Call::post("test", server.url(""), &[]).before(started + Duration::from_millis(200));
    let result = client(Duration::from_secs(30)).send(call).await;
    assert!(unknown(&result), "{result:?}");
    assert!(clock.instant() - started < Duration::from_secs(10));
}

#[tokio::test]
async fn a_request_that_a_pooled_connection_took_up_is_never_sent_again() {
    for then in [Then::Reset, Then::Close] {
        let server = TestServer::start(vec![json(200, "{}"), Line(vec![], then), json(200, "{}")]).await;
        let http = client(Duration::from_secs(5));
        assert!(post(&http, server.url("first")).await.is_ok());
        let result = post(&http, server.url("second")).await;
        assert!(unknown(&result), "{result:?}");
        assert_eq!((server.seen().len(), server.connections()), (2, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooled_connection_that_dies_between_requests_repeats_none() {
    let http = client(Duration::from_secs(5));
    for round in 0..400 {
        let mut first = json(200, "{}");
        first.1 = if round % 2 == 0 { Then::Reset } else { Then::Close };
        let server = TestServer::start(vec![first, json(200, "{}"), json(200, "{}")]).await;
        let _ = post(&http, server.url("first")).await;
        // Now the connection dies before, while or after the next request is handed to it.
        for _ in 0..round % 20 {
            tokio::task::yield_now().await;
        }
        let result = post(&http, server.url("second")).await;
        let seconds = server.seen().iter().filter(|seen| seen.request_line().contains("second")).count();
        match result {
            Ok(_) => assert_eq!(seconds, 1),
            Err(CallFailure::Unknown(_)) => assert!(seconds <= 1),
            Err(CallFailure::NotSent(_)) => assert_eq!(seconds, 0),
        }
    }
}

#[tokio::test]
async fn a_request_carries_what_it_should() {
    let server = TestServer::start(vec![json(200, "{}"), json(200, "{}")]).await;
    let http = client(Duration::from_secs(5));
    let token = SecretString::from("to-ken");
    let values = [("country", "+86"), ("name", "a b&c")];
    http.send(Call::post("test", server.url("a/b"), &values).bearer(&token)).await.unwrap();
    http.send(Call::get("test", server.url("c"), &values)).await.unwrap();
    let [post, get] = server.seen().try_into().unwrap();
    assert_eq!((post.request_line(), post.body.as_str()), ("POST /a/b HTTP/1.1", "country=%2B86&name=a+b%26c"));
    assert_eq!(post.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(post.header("authorization"), Some("Bearer to-ken"));
    assert_eq!(post.header("user-agent"), Some(concat!("tillgate/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(post.header("accept-encoding"), None);
    assert_eq!((get.request_line(), get.body.as_str()), ("GET /c?country=%2B86&name=a+b%26c HTTP/1.1", ""));
    assert_eq!(get.header("authorization"), None);
}

#[test]
fn evidence_is_bounded_and_bodies_are_not_shown() {
    let sent = Sent { status: 200, body: b"access_token".repeat(10_000), location: None };
    assert_eq!(sent.evidence().raw.len(), EVIDENCE_LIMIT);
    assert_eq!(format!("{sent:?}"), "Sent(HTTP 200, 120000 bytes)");
}
