//! The load: HTTP/1.1 over connections that stay open, in a closed loop (each connection sends when it was answered) or in an
//! open one (requests leave at a fixed rate, and wait for nobody: coordinated omission is counted).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use hdrhistogram::Histogram;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// A request: method, path, body.
pub type Request = (&'static str, String, String);
/// Makes the request of a number.
pub type Maker = Arc<dyn Fn(u64) -> Request + Send + Sync>;

/// Where a load goes, and who it says it is.
#[derive(Clone, Debug)]
pub struct Target {
    /// The gateways' addresses; connections are shared out among them.
    pub addresses: Vec<SocketAddr>,
    /// The API key. Empty: none is sent.
    pub key: String,
    /// What bodies are.
    pub content_type: &'static str,
}

/// When a closed loop ends.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// After so long.
    Time(Duration),
    /// After so many requests.
    Count(u64),
}

/// What came of a load.
#[derive(Debug)]
pub struct Outcome {
    /// Requests that were answered as they should be.
    pub good: u64,
    /// Others, with one of their answers.
    pub bad: u64,
    /// An answer that was not as it should be.
    pub example: String,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// Latencies in microseconds.
    pub latency: Histogram<u64>,
}

impl Outcome {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            good: 0,
            bad: 0,
            example: String::new(),
            elapsed: Duration::ZERO,
            latency: Histogram::new_with_bounds(1, 120_000_000, 3)?,
        })
    }

    /// Good answers in a second.
    pub fn rate(&self) -> f64 {
        self.good as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// A quantile of the latency in milliseconds.
    pub fn quantile(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1000.0
    }

    /// Fails if anything was answered otherwise than it should be.
    pub fn must_be_good(self) -> anyhow::Result<Self> {
        anyhow::ensure!(self.bad == 0, "{} of {} answers were wrong, for example {}", self.bad, self.bad + self.good, self.example);
        anyhow::ensure!(self.good > 0, "nothing was answered");
        Ok(self)
    }

    /// Both together.
    pub fn and(mut self, other: Self) -> anyhow::Result<Self> {
        self.add(other)?;
        Ok(self)
    }

    fn note(&mut self, latency: Duration, answer: &anyhow::Result<(u16, Bytes)>) {
        match answer {
            Ok((200..=299, _)) => self.good += 1,
            Ok((status, body)) => self.wrong(format!("{status} {}", String::from_utf8_lossy(body))),
            Err(error) => self.wrong(format!("{error:#}")),
        }
        self.latency.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    fn wrong(&mut self, what: String) {
        self.bad += 1;
        self.example = what;
    }

    fn add(&mut self, other: Self) -> anyhow::Result<()> {
        self.good += other.good;
        self.bad += other.bad;
        if other.bad > 0 {
            self.example = other.example;
        }
        self.latency.add(&other.latency)?;
        Ok(())
    }
}

/// One connection.
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
    target: Target,
    address: SocketAddr,
}

impl Client {
    /// Connects to one of the target's addresses.
    pub async fn connect(target: &Target, number: usize) -> anyhow::Result<Self> {
        let address = target.addresses[number % target.addresses.len()];
        let stream = TcpStream::connect(address).await.with_context(|| format!("{address} takes no connection"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // It ends with the sender; what goes wrong shows in the requests.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender, target: target.clone(), address })
    }

    /// Sends one request and reads the whole answer: its status and its body.
    pub async fn send(&mut self, (method, path, body): Request) -> anyhow::Result<(u16, Bytes)> {
        let mut request = hyper::Request::builder().method(method).uri(path).header("host", self.address.to_string());
        if !self.target.key.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.target.key));
        }
        if !body.is_empty() {
            request = request.header("content-type", self.target.content_type);
        }
        self.sender.ready().await?;
        let answer = self.sender.send_request(request.body(Full::from(body))?).await?;
        let status = answer.status().as_u16();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    }
}

/// So many connections.
async fn connect(target: &Target, count: usize) -> anyhow::Result<Vec<Client>> {
    let mut clients = Vec::new();
    for number in 0..count {
        clients.push(Client::connect(target, number).await?);
    }
    Ok(clients)
}

/// Each of these connections sends its next request when the last was answered. Numbers begin at `first`.
pub async fn closed(target: &Target, connections: usize, first: u64, until: Until, make: &Maker) -> anyhow::Result<Outcome> {
    let next = Arc::new(AtomicU64::new(first));
    let clients = connect(target, connections).await?;
    let begin = Instant::now();
    let mut running = JoinSet::new();
    for mut client in clients {
        let (next, make) = (Arc::clone(&next), Arc::clone(make));
        running.spawn(async move {
            let mut outcome = Outcome::new()?;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let over = match until {
                    Until::Time(time) => begin.elapsed() >= time,
                    Until::Count(count) => number - first >= count,
                };
                if over || outcome.bad > 20 {
                    return Ok::<_, anyhow::Error>(outcome);
                }
                let sent = Instant::now();
                let answer = client.send(make(number)).await;
                outcome.note(sent.elapsed(), &answer);
            }
        });
    }
    finish(running, begin).await
}

/// Requests leave at this rate. What has to wait for a connection, because all of them wait for answers, has waited since its time.
pub async fn open(target: &Target, connections: usize, (rate, time): (u64, Duration), first: u64, make: &Maker) -> anyhow::Result<Outcome> {
    let next = Arc::new(AtomicU64::new(0));
    let clients = connect(target, connections).await?;
    let begin = Instant::now();
    let mut running = JoinSet::new();
    for mut client in clients {
        let (next, make) = (Arc::clone(&next), Arc::clone(make));
        running.spawn(async move {
            let mut outcome = Outcome::new()?;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let at = Duration::from_micros(number * 1_000_000 / rate);
                if at >= time {
                    return Ok::<_, anyhow::Error>(outcome);
                }
                let intended = begin + at;
                // Who was free in time begins when the timer wakes it: how late that is, is not the gateway's doing.
                let sent = if Instant::now() < intended {
                    tokio::time::sleep_until(intended.into()).await;
                    Instant::now()
                } else {
                    intended
                };
                let answer = client.send(make(first + number)).await;
                outcome.note(sent.elapsed(), &answer);
            }
        });
    }
    finish(running, begin).await
}

async fn finish(mut running: JoinSet<anyhow::Result<Outcome>>, begin: Instant) -> anyhow::Result<Outcome> {
    let mut all = Outcome::new()?;
    while let Some(outcome) = running.join_next().await {
        all.add(outcome??)?;
    }
    all.elapsed = begin.elapsed();
    Ok(all)
}
