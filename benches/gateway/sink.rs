//! A merchant's receivers: they answer at once, or never, and know what they were told.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// What was received so far.
#[derive(Debug, Default)]
pub struct Received {
    /// Requests that were answered.
    pub count: u64,
    /// Of these, those that came before to the same endpoint with the same id.
    pub twice: u64,
    /// When the last came.
    pub last: Option<Instant>,
    seen: HashMap<String, HashSet<Vec<u8>>>,
}

/// Receivers at one address: `/hang` never answers, any other path does at once.
#[derive(Clone, Debug)]
pub struct Sink {
    /// Where they listen.
    pub address: SocketAddr,
    received: Arc<Mutex<Received>>,
}

impl Sink {
    /// Starts them on this runtime.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let sink = Self { address: listener.local_addr()?, received: Arc::default() };
        let shared = sink.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sink = shared.clone();
                let service = service_fn(move |request| answer(sink.clone(), request));
                let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(async move { drop(connection.await) });
            }
        });
        Ok(sink)
    }

    /// Looks at what was received.
    pub fn look<T>(&self, look: impl Fn(&Received) -> T) -> T {
        look(&self.received.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn answer(sink: Sink, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    if path == "/hang" {
        std::future::pending::<()>().await;
    }
    let id = request.headers().get("webhook-id").map(|value| value.as_bytes().to_vec()).unwrap_or_default();
    // Read to its end, so that the connection can be used again.
    drop(request.into_body().collect().await);
    let mut received = sink.received.lock().unwrap_or_else(PoisonError::into_inner);
    received.count += 1;
    received.last = Some(Instant::now());
    if !received.seen.entry(path).or_default().insert(id) {
        received.twice += 1;
    }
    Ok(Response::new(Full::default()))
}
