//! A merchant's receiver of webhooks, small and without opinions: it keeps what came and answers what it is told to.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tillgate::domain::clock::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use crate::house::free_port;
use crate::program::until;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Got {
    pub id: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// When it came.
    pub at: Instant,
    /// What it was answered. Absent: nothing, so far.
    pub answered: Option<u16>,
}

/// What the receiver does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Answers with this status.
    Status(u16),
    /// Answers 503, and asks for so many seconds.
    Busy(u64),
    /// Keeps the sender waiting, until it is let go.
    Hang,
}

type Rule = Box<dyn FnMut(&Got) -> Reply + Send>;

struct Shelf {
    got: Vec<Got>,
    rule: Rule,
}

impl fmt::Debug for Shelf {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Shelf({} requests)", self.got.len())
    }
}

/// The receiver. Dropping it closes it.
#[derive(Debug)]
pub struct Hook {
    /// Its address without a path.
    pub base: String,
    /// Where webhooks go.
    pub url: String,
    pub port: u16,
    shelf: Arc<Mutex<Shelf>>,
    /// Tells what those are answered that hang: all, or the request of this number.
    let_go: broadcast::Sender<(Option<usize>, u16)>,
    task: JoinHandle<()>,
}

impl Hook {
    pub async fn open() -> Self {
        let port = free_port();
        let shelf = Arc::new(Mutex::new(Shelf { got: Vec::new(), rule: Box::new(|_| Reply::Status(200)) }));
        let let_go = broadcast::Sender::new(8);
        let task = tokio::spawn(accept(bind(port).await, Arc::clone(&shelf), let_go.clone()));
        let base = format!("http://localhost:{port}");
        Self { url: format!("{base}/hook?token=canary"), base, port, shelf, let_go, task }
    }

    /// Nobody listens any more.
    pub async fn close(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    /// Somebody listens again.
    pub async fn reopen(&mut self) {
        self.task = tokio::spawn(accept(bind(self.port).await, Arc::clone(&self.shelf), self.let_go.clone()));
    }

    /// From now on it does this with what comes.
    pub fn behave(&self, rule: impl FnMut(&Got) -> Reply + Send + 'static) {
        lock(&self.shelf).rule = Box::new(rule);
    }

    /// From now on it answers this.
    pub fn answer(&self, status: u16) {
        self.behave(move |_| Reply::Status(status));
    }

    /// From now on it does these one after the other, and then the last for ever.
    pub fn replies(&self, replies: &[Reply]) {
        let mut replies = replies.to_vec();
        self.behave(move |_| if replies.len() > 1 { replies.remove(0) } else { replies[0] });
    }

    /// Those that hang are answered this.
    pub fn let_go(&self, status: u16) {
        // An error means that nobody hangs.
        let _ = self.let_go.send((None, status));
    }

    /// The request of this number, the first being 0, is answered this.
    pub fn let_one_go(&self, number: usize, status: u16) {
        let _ = self.let_go.send((Some(number), status));
    }

    /// All that came.
    pub fn got(&self) -> Vec<Got> {
        lock(&self.shelf).got.clone()
    }

    /// What came and was answered 2xx.
    pub fn taken(&self) -> Vec<Got> {
        self.got().into_iter().filter(|one| one.answered.is_some_and(|status| (200..300).contains(&status))).collect()
    }

    /// Waits until so many came.
    pub async fn has(&self, count: usize) {
        until("requests come", async || (self.got().len() >= count).then_some(())).await;
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(shelf: &Mutex<Shelf>) -> std::sync::MutexGuard<'_, Shelf> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn bind(port: u16) -> TcpListener {
    TcpListener::bind(("127.0.0.1", port)).await.expect("a port")
}

async fn accept(listener: TcpListener, shelf: Arc<Mutex<Shelf>>, let_go: broadcast::Sender<(Option<usize>, u16)>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&shelf), let_go.subscribe()));
    }
}

/// One request, one answer, one connection.
async fn serve(mut stream: TcpStream, shelf: Arc<Mutex<Shelf>>, mut let_go: broadcast::Receiver<(Option<usize>, u16)>) -> Option<()> {
    let (headers, body) = read(&mut stream).await?;
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let mut got = Got { id, headers, body, at: Clock::system().instant(), answered: None };
    let (reply, number) = {
        let mut shelf = lock(&shelf);
        let reply = (shelf.rule)(&got);
        got.answered = match reply {
            Reply::Status(status) => Some(status),
            Reply::Busy(_) => Some(503),
            Reply::Hang => None,
        };
        // What was let go before this came is not meant for it.
        let_go = let_go.resubscribe();
        shelf.got.push(got);
        (reply, shelf.got.len() - 1)
    };
    let (status, more) = match reply {
        Reply::Status(status) => (status, String::new()),
        Reply::Busy(seconds) => (503, format!("Retry-After: {seconds}\r\n")),
        Reply::Hang => tokio::select! {
            status = told(&mut let_go, number) => (status?, String::new()),
            // The sender has gone.
            _ = stream.read_u8() => return None,
        },
    };
    lock(&shelf).got[number].answered = Some(status);
    let head = format!("HTTP/1.1 {status} So\r\nLocation: /elsewhere\r\n{more}Content-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.ok()
}

/// What a request that hangs is answered in the end.
async fn told(let_go: &mut broadcast::Receiver<(Option<usize>, u16)>, own: usize) -> Option<u16> {
    loop {
        match let_go.recv().await {
            Ok((number, status)) if number.is_none_or(|number| number == own) => return Some(status),
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return None,
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<(HeaderMap, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let headers = head(std::str::from_utf8(&bytes[..end]).ok()?);
            let length: usize = headers.get("content-length").and_then(|length| length.to_str().ok()?.parse().ok()).unwrap_or_default();
            if bytes.len() >= end + 4 + length {
                return Some((headers, bytes[end + 4..].to_vec()));
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn head(text: &str) -> HeaderMap {
    let fields = text.lines().skip(1).filter_map(|line| line.split_once(':'));
    let field = |(name, value): (&str, &str)| Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value.trim()).ok()?));
    fields.filter_map(field).collect()
}
