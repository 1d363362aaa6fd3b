use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::providers::test_server::{Line, TestServer, Then, json};
use crate::webhooks::{Secret, UrlError, diagnose, sign};

const SENT: i64 = 1_614_265_330;

fn loopback() -> Networks {
    Networks::new(vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()])
}

fn sender() -> Sender {
    Sender::with_timeouts(loopback(), Duration::from_secs(5), Duration::from_secs(5))
}

fn hasty() -> Sender {
    Sender::with_timeouts(loopback(), Duration::from_millis(300), Duration::from_millis(300))
}

fn request(url: Url) -> Request {
    let body = Bytes::from_static("{\"b\": 1,\n\"a\":\"ü\u{2028}\"} ".as_bytes());
    let signature = sign(&[Secret::generate(&[1; 32])], "evt_1", SENT, &body);
    Request { url, id: "evt_1".to_owned(), timestamp: SENT, signature, body }
}

fn raw(text: &str, then: Then) -> Line {
    Line(text.as_bytes().to_vec(), then)
}

/// What comes of one answer.
async fn hear(sender: &Sender, line: Line) -> Outcome {
    let server = TestServer::start(vec![line, json(200, "a second request")]).await;
    let outcome = sender.send(&request(server.url("hook"))).await.outcome;
    assert_eq!(server.seen().len(), 1, "{outcome:?}");
    outcome
}

fn answered(status: u16, start: &str) -> Outcome {
    Outcome::Answered { status, retry_after: None, start_of_body: start.to_owned() }
}

#[tokio::test]
async fn a_delivery_carries_the_signed_bytes_and_its_headers() {
    let server = TestServer::start(vec![json(200, "")]).await;
    let request = request(server.url("hook?token=1"));
    assert_eq!(sender().send(&request).await.outcome, answered(200, ""));
    let [seen] = server.seen().try_into().unwrap();
    assert_eq!((seen.request_line(), seen.body.as_bytes()), ("POST /hook?token=1 HTTP/1.1", &request.body[..]));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("user-agent"), Some(concat!("tillgate/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(seen.header("accept-encoding"), None);
    assert_eq!(seen.header("content-length"), Some(request.body.len().to_string().as_str()));
    let headers: Vec<(String, String)> =
        [ID, TIMESTAMP, SIGNATURE].map(|name| (name.to_owned(), seen.header(name).unwrap().to_owned())).into();
    let secrets = [Secret::generate(&[1; 32])];
    assert_eq!(diagnose(&headers, seen.body.as_bytes(), &secrets, SENT, Duration::ZERO), Ok(()));
}

#[tokio::test]
async fn an_answer_of_any_status_is_an_answer() {
    for status in [200, 201, 202, 299, 400, 404, 410, 429, 500, 503] {
        assert_eq!(hear(&sender(), json(status, "ok")).await, answered(status, "ok"));
    }
    assert_eq!(hear(&sender(), raw("HTTP/1.1 204 X\r\n\r\n", Then::Keep)).await, answered(204, ""));
}

#[tokio::test]
async fn latency_is_the_time_until_the_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nslow").await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
    });
    let sender = Sender::with_timeouts(loopback(), Duration::from_secs(2), Duration::from_secs(2));
    let attempt = sender.send(&request(url)).await;
    // The head came; that the body never ends takes nothing from it.
    assert_eq!(attempt.outcome, answered(200, "slow"));
    assert!(attempt.latency >= Duration::from_millis(300) && attempt.latency < Duration::from_millis(1900), "{:?}", attempt.latency);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let elsewhere = TestServer::start(vec![]).await;
    for status in [301, 302, 303, 307, 308] {
        let head = format!("HTTP/1.1 {status} X\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", elsewhere.url(""));
        assert_eq!(hear(&sender(), raw(&head, Then::Keep)).await, answered(status, ""));
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_receiver_may_say_when_to_come_again() {
    for (value, seconds) in [
        ("120", Some(120)),
        ("0", Some(0)),
        (" 7 ", Some(7)),
        ("Thu, 25 Feb 2021 15:03:10 GMT", Some(60)),
        ("Thursday, 25-Feb-21 15:03:10 GMT", Some(60)),
        ("Thu Feb 25 15:03:10 2021", Some(60)),
        ("Thu, 25 Feb 2021 15:00:00 GMT", Some(0)),
        ("99999999999999999999999999", Some(LONGEST_WAIT.as_secs())),
        ("Fri, 31 Dec 9999 23:59:59 GMT", Some(LONGEST_WAIT.as_secs())),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("\u{fc}", None),
    ] {
        let head = format!("HTTP/1.1 503 X\r\nretry-after: {value}\r\ncontent-length: 0\r\n\r\n");
        let Outcome::Answered { status: 503, retry_after, .. } = hear(&sender(), raw(&head, Then::Keep)).await else { panic!("{value}") };
        assert_eq!(retry_after, seconds.map(Duration::from_secs), "{value}");
    }
}

#[tokio::test]
async fn of_a_long_answer_the_start_is_kept_and_the_rest_not_read() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let writer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10485760\r\n\r\n").await.unwrap();
        for written in 0..10 * 1024 {
            if stream.write_all(&[b'x'; 1024]).await.is_err() {
                return written;
            }
        }
        10 * 1024
    });
    assert_eq!(sender().send(&request(url)).await.outcome, answered(200, &"x".repeat(1024)));
    assert!(writer.await.unwrap() < 10 * 1024, "the connection is closed before the end");
}

#[tokio::test]
async fn what_is_kept_of_an_answer_is_text_that_can_be_stored() {
    let start = async |body: &[u8]| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        match hear(&sender(), Line([head.as_bytes(), body].concat(), Then::Keep)).await {
            Outcome::Answered { start_of_body, .. } => start_of_body,
            Outcome::Failed(failure) => panic!("{failure}"),
        }
    };
    assert_eq!(start(b"a\0b\xffc").await, "a\u{fffd}b\u{fffd}c");
    assert_eq!(start(format!("{}ü", "x".repeat(1023)).as_bytes()).await, "x".repeat(1023));
    assert_eq!(start(&[0; 5000]).await, "\u{fffd}".repeat(341));
    assert_eq!(start(&[0xff; 5000]).await.len(), 1023);
}

#[tokio::test]
async fn an_answer_that_breaks_off_in_its_body_is_an_answer() {
    for then in [Then::Close, Then::Reset] {
        let line = raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", then);
        let outcome = hear(&sender(), line).await;
        assert!(matches!(outcome, Outcome::Answered { status: 200, .. }), "{outcome:?}");
    }
}

#[tokio::test]
async fn without_an_answer_the_merchant_is_told_why() {
    for (line, failure) in [
        (raw("", Then::Close), Failure::Closed),
        (raw("", Then::Reset), Failure::Closed),
        (raw("HTTP/1.1 200 OK\r\nconte", Then::Close), Failure::Closed),
        (raw("", Then::Hang), Failure::Timeout),
        (raw("HTTP/1.1 200 OK\r\nconte", Then::Hang), Failure::Timeout),
    ] {
        assert_eq!(hear(&hasty(), line).await, Outcome::Failed(failure));
    }
    for nonsense in ["SSH-2.0-OpenSSH_9.6\r\n\r\n", "HTTP/1.1 OK 200\r\n\r\n", "HTTP/2.0 200\r\n\r\n"] {
        let outcome = hear(&sender(), raw(nonsense, Then::Close)).await;
        assert!(matches!(outcome, Outcome::Failed(Failure::Unreadable(_))), "{nonsense}: {outcome:?}");
    }
}

async fn failure(sender: &Sender, url: &str) -> Failure {
    match sender.send(&request(url.parse().unwrap())).await.outcome {
        Outcome::Failed(failure) => failure,
        Outcome::Answered { status, .. } => panic!("{url} answered {status}"),
    }
}

#[tokio::test]
async fn without_a_connection_the_merchant_is_told_why() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let refused = failure(&sender(), &format!("http://{closed}/")).await;
    assert!(matches!(&refused, Failure::Connect(why) if why.contains("refused")), "{refused:?}");
    assert_eq!(failure(&sender(), "http://nowhere.invalid/").await, Failure::UnknownHost);
    assert_eq!(failure(&sender(), "https://nowhere.invalid/").await, Failure::UnknownHost);
}

#[tokio::test]
async fn a_failed_handshake_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let silent = Arc::new(tokio::sync::Mutex::new(true));
    let is_silent = Arc::clone(&silent);
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            if !*is_silent.lock().await {
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            }
            held.push(stream);
        }
    });
    let hasty = Sender::with_timeouts(loopback(), Duration::from_millis(300), Duration::from_secs(30));
    assert_eq!(failure(&hasty, &url).await, Failure::ConnectTimeout);
    *silent.lock().await = false;
    let plain = failure(&sender(), &url).await;
    assert!(matches!(plain, Failure::Tls(_)), "{plain:?}");
}

/// A certificate that nobody has signed, of `localhost`, and its key.
const CERTIFICATE: &str = "MIIBljCCATugAwIBAgIURKyZF/6fUu5T6s7xOP/5lTnASKUwCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjA5Mjc1N1oYDzIx\
MjYxMDI5MDkyNzU3WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATvyOTHOqv6R0K45ySWyEoqPPypTVf9CRWZgOQI\
50OFNHYJbEOGF4emkLsXK/eOcbwR+LkPguvksf1wQXVcaZfLo2kwZzAdBgNVHQ4EFgQUPUR0T7Xgh/Ocbp+NH2w/+kbQRtwwHwYDVR0jBBgwFoAUPUR0T7Xg\
h/Ocbp+NH2w/+kbQRtwwDwYDVR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwIDSQAwRgIhAOaHwBgkJDdhwuwYZfjtQWwd\
zMuznFtM89pSd3MFHg8mAiEAlrNcjRVOMDD6AHCUMLg7nRbOuFR6Bpn1drJdcCUDpk0=";
const ITS_KEY: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgSoUJkhZH9bSqveWUhFOtOOo/jXhEVXEPDtfYpYJQdc2hRANCAATvyOTHOqv6R0K45ySWyEoq\
PPypTVf9CRWZgOQI50OFNHYJbEOGF4emkLsXK/eOcbwR+LkPguvksf1wQXVcaZfL";

#[tokio::test]
async fn a_certificate_that_nobody_has_signed_is_not_trusted() {
    use base64::Engine;
    use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
    let decode = |text: &str| base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    let sender = sender();
    let key = PrivatePkcs8KeyDer::from(decode(ITS_KEY)).into();
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(vec![CertificateDer::from(decode(CERTIFICATE))], key).unwrap());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut connection = rustls::ServerConnection::new(config).unwrap();
        while connection.is_handshaking() && connection.complete_io(&mut stream).is_ok() {}
    });
    let failure = failure(&sender, &url).await;
    assert!(matches!(&failure, Failure::Tls(why) if why.contains("certificate")), "{failure:?}");
}

#[tokio::test]
async fn nothing_is_sent_to_what_is_refused() {
    let server = TestServer::start(vec![json(200, ""), json(200, ""), json(200, "")]).await;
    let port = server.url("").port().unwrap();
    let strict = Sender::new(Networks::default());
    for host in ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]", "[::1]", "0"] {
        assert_eq!(failure(&strict, &format!("https://{host}:{port}/")).await, Failure::AddressRefused, "{host}");
    }
    let elsewhere = Sender::new(Networks::new(vec!["10.0.0.0/8".parse().unwrap()]));
    for host in ["127.0.0.1", "localhost"] {
        assert_eq!(failure(&elsewhere, &format!("http://{host}:{port}/")).await, Failure::AddressRefused, "{host}");
    }
    assert_eq!(failure(&strict, "http://8.8.8.8/").await, Failure::UrlRefused(UrlError::PlainHttp));
    assert_eq!(failure(&strict, "https://a:b@shop.example/").await, Failure::UrlRefused(UrlError::UserInfo));
    assert_eq!(server.connections(), 0);
    // And the same name is reached where its network is open.
    let url = format!("http://localhost:{port}/").parse().unwrap();
    assert_eq!(sender().send(&request(url)).await.outcome, answered(200, ""));
}

#[tokio::test]
async fn an_id_that_no_header_can_hold_is_not_sent() {
    let request = Request { id: "a\nb".to_owned(), ..request("http://127.0.0.1/".parse().unwrap()) };
    assert_eq!(sender().send(&request).await.outcome, Outcome::Failed(Failure::Unsendable));
}

#[tokio::test]
async fn short_answers_leave_the_connection_for_the_next_delivery() {
    let server = TestServer::start(vec![json(200, &"x".repeat(2000)), json(200, "")]).await;
    let sender = sender();
    for _ in 0..2 {
        assert!(matches!(sender.send(&request(server.url(""))).await.outcome, Outcome::Answered { status: 200, .. }));
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn what_may_hold_secrets_is_not_shown() {
    let request = request("https://shop.example/?token=hidden".parse().unwrap());
    assert_eq!(format!("{request:?}"), format!("Request(evt_1, {} bytes)", request.body.len()));
}
