//! What a round is: who acts, for how long, and what goes wrong. The same script with the same seed is the same schedule.

use std::time::Duration;

use tillgate::faults::Bug;
use tillgate::sandbox::Fault;

use crate::proxy::Trouble;

/// What happens to a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blow {
    /// `kill -9` at a random moment.
    Kill,
    /// It aborts at one of the crash points.
    Crash,
    /// SIGSTOP, often for longer than a lease, then SIGCONT.
    Pause,
    /// SIGTERM, and its successor starts when it has ended.
    Stop,
    /// Its clock jumps, and jumps back.
    Clock,
}

/// What goes wrong at the wallets.
#[derive(Clone, Debug)]
pub struct Weather {
    /// How often something is done to the next call of some kind.
    pub every: Duration,
    /// Operations that it is done to.
    pub operations: &'static [&'static str],
    /// What is done.
    pub faults: Vec<Fault>,
    /// Lists forget some orders for long.
    pub forgets: bool,
    /// Callbacks are repeated, contradicted and altered, and strangers forge some.
    pub lies: bool,
}

/// A round.
#[derive(Clone, Debug)]
pub struct Script {
    pub seed: u64,
    /// Orders that are asked for.
    pub orders: usize,
    /// The merchant's requests that are open at a time.
    pub clients: usize,
    /// Of these kinds, one after the other.
    pub kinds: &'static [Kind],
    pub gateways: usize,
    /// The wallets refuse an id that they have seen, and the accounts say so.
    pub refuses_duplicates: bool,
    pub blows: &'static [Blow],
    /// Blows to one gateway are at most so far apart.
    pub breath: Duration,
    pub weather: Weather,
    /// Between clients and gateways, which wallets call back through, too.
    pub front: Trouble,
    pub wallets: Trouble,
    pub database: Trouble,
    pub sink: Trouble,
    /// Postgres is killed about so often.
    pub postgres: Option<Duration>,
    /// Gateways have so few connections.
    pub connections: u32,
    /// Payers' tokens live for seconds.
    pub short_tokens: bool,
    /// Hicoin gives notice of incoming money, beside its list.
    pub notices: bool,
    pub bug: Option<Bug>,
    /// How long after the faults everything has to be at rest.
    pub rest: Duration,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    FomoPayout,
    FomoDeposit,
    ToAddress,
    ToUser,
    Transfer,
    HicoinDeposit,
}

impl Kind {
    /// The merchant's id of the order with this number.
    pub fn trade_id(self, number: usize) -> String {
        format!("{self:?}-{number}").to_lowercase()
    }
}

pub const EVERYTHING: &[Kind] = &[
    Kind::FomoPayout,
    Kind::ToAddress,
    Kind::FomoDeposit,
    Kind::HicoinDeposit,
    Kind::ToUser,
    Kind::FomoPayout,
    Kind::Transfer,
    Kind::HicoinDeposit,
];

/// Calls that move money.
pub const MONEY: &[&str] = &["pay_user", "withdraw", "systemTransfer", "userTransfer"];
/// All calls that wallets take while the campaign lasts, but those that would end a link by design.
pub const CALLS: &[&str] = &[
    "pay_user",
    "pre_pay",
    "withdraw",
    "systemTransfer",
    "userTransfer",
    "withdrawList",
    "systemTransferList",
    "transferList",
    "syncDepositList",
    "depositList",
    "get_transfer_detail",
];

impl Weather {
    pub fn fine() -> Self {
        Self { every: Duration::from_secs(3600), operations: CALLS, faults: Vec::new(), forgets: false, lies: false }
    }

    /// All that the wallets can do wrong.
    pub fn foul() -> Self {
        let faults = vec![
            Fault::LoseBefore,
            Fault::LoseAfter,
            Fault::Delay(300),
            Fault::Delay(1500),
            Fault::HangBefore,
            Fault::HangAfter,
            Fault::HangLate,
            Fault::Error500Before,
            Fault::Error500After,
            Fault::GarbageBefore,
            Fault::GarbageAfter,
            Fault::TruncatedAfter,
            Fault::EmptyAfter,
            Fault::CallbackFirst,
            Fault::Omit,
        ];
        Self { every: Duration::from_millis(120), operations: CALLS, faults, forgets: true, lies: true }
    }
}

impl Script {
    /// What the order with this number is.
    pub fn kind(&self, number: usize) -> Kind {
        self.kinds[number % self.kinds.len()]
    }

    /// A quiet round on a quiet day, from which others are made.
    pub fn quiet(seed: u64) -> Self {
        Self {
            seed,
            orders: 60,
            clients: 8,
            kinds: EVERYTHING,
            gateways: 2,
            refuses_duplicates: false,
            blows: &[],
            breath: Duration::from_millis(900),
            weather: Weather::fine(),
            front: Trouble::NONE,
            wallets: Trouble::NONE,
            database: Trouble::NONE,
            sink: Trouble::NONE,
            postgres: None,
            connections: 5,
            short_tokens: false,
            notices: true,
            bug: None,
            rest: Duration::from_secs(60),
        }
    }

    /// Everything goes wrong at once.
    pub fn storm(seed: u64, orders: usize) -> Self {
        const ALL: &[Blow] = &[Blow::Crash, Blow::Kill, Blow::Crash, Blow::Pause, Blow::Crash, Blow::Pause, Blow::Stop, Blow::Clock];
        Self {
            orders,
            clients: 12,
            gateways: 3,
            refuses_duplicates: seed.is_multiple_of(2),
            blows: ALL,
            breath: Duration::from_millis(400),
            weather: Weather::foul(),
            front: Trouble { often: 100, ..Trouble::NONE },
            wallets: Trouble { often: 60, ..Trouble::NONE },
            database: Trouble { often: 8, ..Trouble::NONE },
            sink: Trouble { often: 100, ..Trouble::NONE },
            postgres: Some(Duration::from_secs(20)),
            ..Self::quiet(seed)
        }
    }
}
