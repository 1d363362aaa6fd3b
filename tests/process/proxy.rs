//! What stands between two parts and does to their conversation what networks do: cuts it, resets it, holds it up, lets it drip,
//! loses the answer to a whole request. Each connection's fate is rolled by dice of its own, the same for the same seed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::chaos::Dice;
use crate::program::pass;

/// Where a proxy leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Port(u16),
    Socket(PathBuf),
}

/// What is done to a conversation at a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ill {
    /// The message is lost, and the connection ends in good order.
    Cut,
    /// The message is lost, and the connection is reset.
    Reset,
    /// A part of the message arrives; then the connection is reset.
    Part,
    /// The message arrives, and nothing that is said afterwards: between a COMMIT and its answer, for example.
    Lose,
    /// The message arrives late.
    Hang,
    /// The message arrives in drops.
    Drip,
}

pub const ALL: &[Ill] = &[Ill::Cut, Ill::Reset, Ill::Part, Ill::Lose, Ill::Hang, Ill::Drip];

/// How often something is done to a message, of ten thousand, and what.
#[derive(Clone, Copy, Debug)]
pub struct Trouble {
    pub often: u64,
    pub ills: &'static [Ill],
}

impl Trouble {
    pub const NONE: Self = Self { often: 0, ills: ALL };
}

#[derive(Debug)]
struct Shared {
    targets: Mutex<(Vec<Target>, usize)>,
    trouble: Mutex<Trouble>,
    dice: Mutex<Dice>,
    struck: Mutex<BTreeMap<Ill, usize>>,
    /// Connections that were made before a change of this end.
    age: watch::Sender<u64>,
    /// Connections that were made before a change of this go silent.
    silence: watch::Sender<u64>,
}

/// A proxy on a port of its own. Dropping it closes it.
#[derive(Debug)]
pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// Opens one that leads nowhere yet.
    pub async fn open(dice: Dice) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            targets: Mutex::default(),
            trouble: Mutex::new(Trouble::NONE),
            dice: Mutex::new(dice),
            struck: Mutex::default(),
            age: watch::Sender::new(0),
            silence: watch::Sender::new(0),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { port, shared, task }
    }

    /// From now on it leads to these, in turns; to the next one where one takes no connection.
    pub fn leads_to(&self, targets: Vec<Target>) {
        lock(&self.shared.targets).0 = targets;
    }

    /// Where it leads to.
    pub fn targets(&self) -> Vec<Target> {
        lock(&self.shared.targets).0.clone()
    }

    /// From now on this happens.
    pub fn suffers(&self, trouble: Trouble) {
        *lock(&self.shared.trouble) = trouble;
    }

    /// Resets all that is open.
    pub fn reset_all(&self) {
        self.shared.age.send_modify(|age| *age += 1);
    }

    /// Nothing that is open carries anything any more, and nothing is closed.
    pub fn silence_all(&self) {
        self.shared.silence.send_modify(|age| *age += 1);
    }

    /// What has happened so far.
    pub fn struck(&self) -> BTreeMap<Ill, usize> {
        lock(&self.shared.struck).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.reset_all();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let dice = lock(&shared.dice).split();
        let _ = client.set_nodelay(true);
        tokio::spawn(connect(client, dice, Arc::clone(&shared)));
    }
}

/// Finds a target that takes the connection, and lets the two talk.
async fn connect(client: TcpStream, dice: Dice, shared: Arc<Shared>) {
    let targets = {
        let mut targets = lock(&shared.targets);
        targets.1 += 1;
        let turn = targets.1 % targets.0.len().max(1);
        [&targets.0[turn..], &targets.0[..turn]].concat()
    };
    for target in targets {
        match target {
            Target::Port(port) => {
                if let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await {
                    let _ = server.set_nodelay(true);
                    return talk(client, server, dice, &shared).await;
                }
            }
            Target::Socket(path) => {
                if let Ok(server) = UnixStream::connect(path).await {
                    return talk(client, server, dice, &shared).await;
                }
            }
        }
    }
}

/// How a conversation ended.
enum End {
    Good,
    Reset,
    /// It has not ended, but nothing is heard.
    Silent,
}

async fn talk(client: TcpStream, server: impl AsyncRead + AsyncWrite + Send, mut dice: Dice, shared: &Shared) {
    let (mut age, mut silence) = (shared.age.subscribe(), shared.silence.subscribe());
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let lost = watch::Sender::new(false);
    let ends = {
        let up = carry(&mut from_client, &mut to_server, dice.split(), shared, &lost, true);
        let down = carry(&mut from_server, &mut to_client, dice.split(), shared, &lost, false);
        tokio::select! {
            end = up => end,
            end = down => end,
            _ = age.changed() => End::Reset,
            _ = silence.changed() => End::Silent,
        }
    };
    if matches!(ends, End::Silent) {
        // Until the client gives it up: a machine that is gone resets nothing.
        let _ = tokio::io::copy(&mut from_client, &mut tokio::io::sink()).await;
    }
    if matches!(ends, End::Reset)
        && let Ok(client) = from_client.reunite(to_client)
    {
        // Closing without lingering is what sends a reset.
        let _ = client.set_zero_linger();
    }
}

/// Carries what one side says to the other, and does to it what the dice say.
async fn carry(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut dice: Dice,
    shared: &Shared,
    lost: &watch::Sender<bool>,
    up: bool,
) -> End {
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return End::Good };
        let message = &buffer[..count];
        if !up && *lost.borrow() {
            return End::Reset;
        }
        let trouble = *lock(&shared.trouble);
        let ill = (dice.between(0, 10_000) < trouble.often && !trouble.ills.is_empty()).then(|| *dice.one_of(trouble.ills));
        if let Some(ill) = ill {
            *lock(&shared.struck).entry(ill).or_default() += 1;
        }
        let done = match ill {
            None => to.write_all(message).await,
            Some(Ill::Cut) => return End::Good,
            Some(Ill::Reset) => return End::Reset,
            Some(Ill::Part) => {
                let part = usize::try_from(dice.between(0, count as u64)).expect("a length");
                let _ = to.write_all(&message[..part]).await;
                let _ = to.flush().await;
                return End::Reset;
            }
            Some(Ill::Lose) => {
                lost.send_replace(true);
                to.write_all(message).await
            }
            Some(Ill::Hang) => {
                pass(Duration::from_millis(dice.between(50, 2500))).await;
                to.write_all(message).await
            }
            Some(Ill::Drip) => drip(to, message).await,
        };
        if done.is_err() || to.flush().await.is_err() {
            return End::Reset;
        }
        // What was lost on its way down is the last that is said.
        if !up && ill == Some(Ill::Lose) {
            return End::Reset;
        }
    }
}

async fn drip(to: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> std::io::Result<()> {
    for drop in message.chunks(message.len().div_ceil(20)) {
        to.write_all(drop).await?;
        to.flush().await?;
        pass(Duration::from_millis(15)).await;
    }
    Ok(())
}
