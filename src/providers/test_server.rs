//! A server for tests: answers each request on a real socket with the next line of its script.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// What to do with a request: write these bytes, then this.
pub struct Line(pub Vec<u8>, pub Then);

/// What follows an answer's bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The connection stays for the next request.
    Keep,
    /// The connection is closed.
    Close,
    /// The connection is reset.
    Reset,
    /// The connection stays, and nothing more comes.
    Hang,
}

/// An HTTP answer with a JSON body.
pub fn json(status: u16, body: &str) -> Line {
    let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    Line(format!("{head}{body}").into_bytes(), Then::Keep)
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub head: String,
    pub body: String,
}

impl Seen {
    pub fn request_line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().skip(1).find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
        Some(line.split_once(':')?.1.trim())
    }

    pub fn form(&self) -> Vec<(String, String)> {
        serde_urlencoded::from_str(&self.body).unwrap()
    }
}

/// The server. It ends with its runtime.
pub struct TestServer {
    address: SocketAddr,
    log: Arc<Mutex<Log>>,
}

#[derive(Default)]
struct Log {
    connections: usize,
    seen: Vec<Seen>,
}

impl TestServer {
    /// Starts to answer by this script; without a line left, connections are closed unanswered.
    pub async fn start(script: Vec<Line>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Log::default()));
        let script = Arc::new(Mutex::new(script.into_iter()));
        let kept = Arc::clone(&log);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                kept.lock().unwrap().connections += 1;
                tokio::spawn(converse(stream, Arc::clone(&script), Arc::clone(&kept)));
            }
        });
        Self { address, log }
    }

    pub fn url(&self, path: &str) -> Url {
        format!("http://{}/{path}", self.address).parse().unwrap()
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.log.lock().unwrap().seen.clone()
    }

    pub fn connections(&self) -> usize {
        self.log.lock().unwrap().connections
    }
}

async fn converse(mut stream: TcpStream, script: Arc<Mutex<std::vec::IntoIter<Line>>>, log: Arc<Mutex<Log>>) {
    while let Some(seen) = read_request(&mut stream).await {
        log.lock().unwrap().seen.push(seen);
        let Some(Line(bytes, then)) = script.lock().unwrap().next() else { return };
        // A client that has heard enough may be gone.
        let _ = stream.write_all(&bytes).await;
        match then {
            Then::Keep => {}
            Then::Close => return,
            Then::Reset => return stream.set_zero_linger().unwrap(),
            Then::Hang => std::future::pending().await,
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let seen = Seen { head: head.to_owned(), body: body.to_owned() };
            let length = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return Some(seen);
            }
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&buffer[..read]),
            _ => return None,
        }
    }
}
