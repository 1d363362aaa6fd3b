//! A merchant's backend that is told of events, and that behaves as badly as a test wants.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::harness::TestApp;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub id: String,
    pub timestamp: i64,
    pub signature: String,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// The event's type.
    pub fn kind(&self) -> String {
        self.json()["type"].as_str().expect("a type").to_owned()
    }

    /// The order that it is about, and its number within it.
    pub fn step(&self) -> (String, i64) {
        let body = self.json();
        (body["data"]["trade_id"].as_str().unwrap_or_default().to_owned(), body["sequence"].as_i64().unwrap_or_default())
    }

    /// The public library takes one of the signatures as this secret's.
    pub fn is_signed_by(&self, secret: &str) -> bool {
        let own = Webhook::new(secret).expect("a secret").sign(&self.id, self.timestamp, &self.body).expect("a signature");
        self.signature.split(' ').any(|signature| signature == own)
    }
}

/// What it does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Answers with this status.
    Status(u16),
    /// Writes these bytes and closes.
    Raw(Vec<u8>),
    /// Never answers.
    Hang,
    /// Closes without an answer.
    Close,
    /// Answers with 200 when the gate opens.
    Gate(watch::Receiver<bool>),
}

type Rule = Box<dyn FnMut(&Seen) -> Reply + Send>;

/// A backend at an address of its own.
#[derive(Clone)]
pub struct Receiver {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    rule: Arc<Mutex<Rule>>,
    count: Arc<watch::Sender<usize>>,
    /// It only counts what comes.
    forgetful: bool,
}

impl Receiver {
    /// A backend that takes everything.
    pub async fn start() -> Self {
        Self::of(false).await
    }

    /// One that takes very much and keeps nothing of it.
    pub async fn forgetful() -> Self {
        Self::of(true).await
    }

    async fn of(forgetful: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let rule: Rule = Box::new(|_| Reply::Status(200));
        let receiver =
            Self { url, seen: Arc::default(), rule: Arc::new(Mutex::new(rule)), count: Arc::new(watch::Sender::new(0)), forgetful };
        let shared = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(shared.clone().serve(stream));
            }
        });
        receiver
    }

    /// From now on it does this.
    pub fn behave(&self, rule: impl FnMut(&Seen) -> Reply + Send + 'static) {
        *self.rule.lock().expect("the rule") = Box::new(rule);
    }

    /// From now on it does these one after the other, and then the last for ever.
    pub fn replies(&self, replies: &[Reply]) {
        let mut replies = replies.to_vec();
        self.behave(move |_| if replies.len() > 1 { replies.remove(0) } else { replies[0].clone() });
    }

    /// All that came, first to last.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("what came").clone()
    }

    /// Waits until so many have come.
    pub async fn has(&self, number: usize) {
        self.count.subscribe().wait_for(|count| *count >= number).await.expect("a backend");
    }

    /// The orders and numbers of all that came.
    pub fn steps(&self) -> Vec<(String, i64)> {
        self.seen().iter().map(Seen::step).collect()
    }

    pub fn kinds(&self) -> Vec<String> {
        self.seen().iter().map(Seen::kind).collect()
    }

    async fn serve(self, mut stream: TcpStream) {
        while let Some(seen) = read(&mut stream).await {
            let reply = (self.rule.lock().expect("the rule"))(&seen);
            if !self.forgetful {
                self.seen.lock().expect("what came").push(seen);
            }
            self.count.send_modify(|count| *count += 1);
            let answer = |status: u16| format!("HTTP/1.1 {status} X\r\ncontent-length: 2\r\n\r\nok").into_bytes();
            let (bytes, more) = match reply {
                Reply::Status(status) => (answer(status), true),
                Reply::Raw(bytes) => (bytes, false),
                Reply::Close => return,
                Reply::Hang => return std::future::pending().await,
                Reply::Gate(mut gate) => {
                    if gate.wait_for(|open| *open).await.is_err() {
                        return;
                    }
                    (answer(200), true)
                }
            };
            if stream.write_all(&bytes).await.is_err() || !more {
                return;
            }
        }
    }
}

/// One request; `None` where no further comes.
async fn read(stream: &mut TcpStream) -> Option<Seen> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => bytes.extend(&buffer[..read]),
            _ => return None,
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let length: usize = header("content-length").parse().ok()?;
    while bytes.len() < end + length {
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => bytes.extend(&buffer[..read]),
            _ => return None,
        }
    }
    let timestamp = header("webhook-timestamp").parse().ok()?;
    Some(Seen { id: header("webhook-id"), timestamp, signature: header("webhook-signature"), body: bytes[end..end + length].to_vec() })
}

/// An endpoint of the merchant's: its id and its secret.
pub struct Endpoint {
    pub id: String,
    pub secret: String,
}

impl Endpoint {
    /// Tells the gateway of a backend that wants these events.
    pub async fn at(app: &TestApp, url: &str, events: &[&str]) -> Self {
        let made = app.post("/v1/webhook_endpoints", &json!({ "url": url, "events": events })).await;
        assert_eq!(made.status, 201, "{}", made.body);
        Self { id: made.text("id").to_owned(), secret: made.text("secret").to_owned() }
    }

    pub fn path(&self) -> String {
        format!("/v1/webhook_endpoints/{}", self.id)
    }

    /// How it stands.
    pub async fn status(&self, app: &TestApp) -> String {
        app.get(&self.path()).await.text("status").to_owned()
    }

    pub async fn set(&self, app: &TestApp, status: &str) {
        let set = app.call("PATCH", &self.path(), Some(&json!({ "status": status }))).await;
        assert_eq!((set.status, set.text("status")), (200, status), "{}", set.body);
    }

    /// Its deliveries, oldest first.
    pub async fn deliveries(&self, app: &TestApp) -> Vec<Value> {
        let list = app.get(&format!("/v1/webhook_deliveries?limit=100&endpoint={}", self.id)).await;
        let mut all = list.body["data"].as_array().expect("a list").clone();
        // Within one instant of the test's clock, too.
        all.sort_by_key(|one| one["event"].as_str().map(str::to_owned));
        all
    }

    /// How they stand, oldest first.
    pub async fn states(&self, app: &TestApp) -> Vec<String> {
        self.deliveries(app).await.iter().map(|one| one["status"].as_str().expect("a status").to_owned()).collect()
    }
}
