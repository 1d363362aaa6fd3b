//! A merchant's receiver of webhooks, small and without opinions: it keeps what came and answers what it is told to.

use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::house::free_port;
use crate::program::until;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Got {
    pub id: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// What it was answered. Absent: nothing.
    pub answered: Option<u16>,
}

#[derive(Debug)]
struct Shelf {
    got: Vec<Got>,
    status: u16,
    /// The request of this number gets no answer, the first being 1. 0: all do.
    hang_at: usize,
}

/// The receiver. Dropping it closes it.
#[derive(Debug)]
pub struct Hook {
    /// Its address without a path.
    pub base: String,
    /// Where webhooks go.
    pub url: String,
    port: u16,
    shelf: Arc<Mutex<Shelf>>,
    task: JoinHandle<()>,
}

impl Hook {
    pub async fn open() -> Self {
        let port = free_port();
        let shelf = Arc::new(Mutex::new(Shelf { got: Vec::new(), status: 200, hang_at: 0 }));
        let task = tokio::spawn(accept(bind(port).await, Arc::clone(&shelf)));
        let base = format!("http://localhost:{port}");
        Self { url: format!("{base}/hook?token=canary"), base, port, shelf, task }
    }

    /// Nobody listens any more.
    pub async fn close(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    /// Somebody listens again.
    pub async fn reopen(&mut self) {
        self.task = tokio::spawn(accept(bind(self.port).await, Arc::clone(&self.shelf)));
    }

    /// From now on it answers this, also where it hung.
    pub fn answer(&self, status: u16) {
        let mut shelf = lock(&self.shelf);
        (shelf.status, shelf.hang_at) = (status, 0);
    }

    pub fn hang_at(&self, number: usize) {
        lock(&self.shelf).hang_at = number;
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

async fn accept(listener: TcpListener, shelf: Arc<Mutex<Shelf>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&shelf)));
    }
}

/// One request, one answer, one connection.
async fn serve(mut stream: TcpStream, shelf: Arc<Mutex<Shelf>>) -> Option<()> {
    let (headers, body) = read(&mut stream).await?;
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let answer = {
        let mut shelf = lock(&shelf);
        let answered = (shelf.hang_at != shelf.got.len() + 1).then_some(shelf.status);
        shelf.got.push(Got { id, headers, body, answered });
        answered
    };
    match answer {
        Some(status) => {
            let head = format!("HTTP/1.1 {status} So\r\nLocation: /elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).await.ok()
        }
        None => stream.read_u8().await.ok().map(drop),
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
