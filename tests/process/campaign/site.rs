//! The place of a round: a house between proxies, its gateways' settings, and what those who act there share.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;
use tillgate::faults::{Point, VARIABLE};
use tillgate::sandbox::TokenLife;

use super::figures::{Coverage, Tally};
use super::history::History;
use super::script::{Blow, Script};
use super::server::Server;
use crate::chaos::Dice;
use crate::database::{connect, through};
use crate::hook::{Hook, Reply};
use crate::house::{At, Ground, House, Plan, USDT, free_port};
use crate::program::Program;
use crate::proxy::{Proxy, Target, Trouble};
use crate::talk::log_line;
use crate::told::Endpoint;

/// FOMO's users, who are linked, by the names that the merchant has for them.
pub const PAYERS: usize = 6;
/// Customers of Hicoin.
pub const HOLDERS: usize = 20;

pub struct Site<'a> {
    pub script: Script,
    pub server: &'a Server,
    pub coverage: &'a Coverage,
    pub house: House,
    pub front: Proxy,
    pub wallets: Proxy,
    pub database: Proxy,
    pub sink: Proxy,
    pub hook: Hook,
    pub endpoint: Endpoint,
    pub ports: Vec<u16>,
    /// Hicoin's numbers of the holders.
    pub uids: Vec<u64>,
    pub tally: Tally,
    pub history: History,
    /// The faults are over.
    pub over: AtomicBool,
    name: String,
}

impl<'a> Site<'a> {
    /// Furnishes a round: everybody is known, and nothing has gone wrong yet.
    pub async fn furnish(script: Script, server: &'a Server, coverage: &'a Coverage) -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let name = format!("round_{}", LAST.fetch_add(1, Ordering::Relaxed));
        let mut dice = Dice(script.seed);
        let (front, wallets, sink) = (Proxy::open(dice.split()).await, Proxy::open(dice.split()).await, Proxy::open(dice.split()).await);
        let database = Proxy::open(dice.split()).await;
        let ground = Ground { database: Some(server.database(&name).await), wallets: Some(&wallets), calls_back: Some(100) };
        let mut house = House::on(ground, Plan { at: At::Both, refuses_duplicates: script.refuses_duplicates }).await;
        house.port = front.port;
        server.leads_to_this(&database);
        let ports: Vec<u16> = (0..script.gateways).map(|_| free_port()).collect();
        front.leads_to(ports.iter().map(|port| Target::Port(*port)).collect());
        let hook = Hook::open().await;
        sink.leads_to(vec![Target::Port(hook.port)]);
        let first = serve_on(&house, &script, &name, &database, ports[0], &[]);
        first.says("that it is up", |output| log_line(&output.err(), "the gateway is up")).await;
        let uids = known(&house, script.short_tokens).await;
        let endpoint = house.endpoint_at(&format!("http://localhost:{}/hook?token=canary", sink.port)).await;
        house.short_leases().await;
        let notices = house.run(&["merchant", "list"]).await.out;
        let notices = notices.lines().find_map(|line| line.trim().strip_prefix("notices of hicoin: ")).expect("an address");
        house.sandbox.set_hicoin_notice_url(None, script.notices.then_some(notices)).expect("the app");
        first.terminate();
        first.end().await;
        Self {
            script,
            server,
            coverage,
            house,
            front,
            wallets,
            database,
            sink,
            hook,
            endpoint,
            ports,
            uids,
            tally: Tally::default(),
            history: History::default(),
            over: AtomicBool::new(false),
            name,
        }
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// From now on everybody suffers, or nobody.
    pub fn trouble(&self, on: bool) {
        let script = &self.script;
        let all =
            [(&self.front, script.front), (&self.wallets, script.wallets), (&self.database, script.database), (&self.sink, script.sink)];
        for (proxy, trouble) in all {
            proxy.suffers(if on { trouble } else { Trouble::NONE });
        }
        let mut dice = Dice(script.seed ^ 0x51_4b);
        match on && script.sink.often > 0 {
            true => self.hook.behave(move |_| Reply::Status(if dice.between(0, 12) == 0 { 500 } else { 200 })),
            false => self.hook.answer(200),
        }
    }

    /// Starts a gateway, which crashes at this point, if one is given, as often as that says.
    pub fn serve(&self, gateway: usize, crashes: Option<(Point, u64)>, variables: &[(&str, &str)]) -> Program {
        let crashes = crashes.map(|(point, often)| format!("{}={often}%return", <&str>::from(point)));
        let bug = self.script.bug.map(|bug| format!("{}=return", <&str>::from(bug)));
        let faults = [crashes, bug].into_iter().flatten().collect::<Vec<_>>().join(";");
        let variables = [&[(VARIABLE, faults.as_str())], variables].concat();
        serve_on(&self.house, &self.script, &self.name, &self.database, self.ports[gateway], &variables)
    }

    /// What the proxies have done.
    pub fn count_proxies(&self) {
        let all = [("client", &self.front), ("wallet", &self.wallets), ("database", &self.database), ("sink", &self.sink)];
        for (name, proxy) in all {
            for (ill, count) in proxy.struck() {
                self.tally.add(&format!("{name}: {ill:?}").to_lowercase(), count);
            }
        }
    }

    /// Somebody compares both sides by the command, which may crash at its points; gateways then go on with it.
    pub async fn begin_comparison(&self) {
        let points = [Point::ReconcileCompared, Point::ReconcileWritten];
        let point = points.into_iter().min_by_key(|point| self.coverage.of(*point)).expect("two");
        let crashes = if self.blows(Blow::Crash) { format!("{}=return", <&str>::from(point)) } else { String::new() };
        let whole = ["reconcile", "--merchant", "acme", "--from", "2020-01-01", "--to", "2100-01-01"];
        let program = self.house.launch(&whole).with([(VARIABLE, crashes)]).start();
        self.house.note("reconcile", &program);
        let ended = program.ends_within(Duration::from_secs(4)).await;
        if ended.err.contains("crashed at ") {
            self.coverage.hit(point.into());
            self.tally.add("crash at a point", 1);
        }
    }

    /// Prints what happened to the first orders that something is wrong with.
    pub async fn tell_stories(&self, broken: &[String]) {
        *self.house.eyes.lock().await = connect(&self.house.database).await;
        let story = self.history.all();
        let words = broken.iter().flat_map(|what| what.split(|letter: char| !letter.is_alphanumeric() && letter != '-'));
        let orders: BTreeSet<&str> = words.filter(|word| story.contains_key(*word)).collect();
        for order in orders.into_iter().take(8) {
            println!("{order}:\n{}\n", self.house.story_of(order).await);
        }
    }

    pub fn blows(&self, blow: Blow) -> bool {
        self.script.blows.contains(&blow)
    }
}

fn serve_on(house: &House, script: &Script, database: &str, door: &Proxy, port: u16, variables: &[(&str, &str)]) -> Program {
    const SCHEDULE: &str = "100ms,200ms,300ms,500ms,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,\
                            2s,2s,2s,2s,2s,2s,2s,2s,2s,2s,2s,2s,2s,2s,2s,2s,2s,2s,2s,2s,2s,2s,2s,2s,2s,2s,2s,2s,2s,2s";
    let own = [
        ("TILLGATE__DATABASE__URL", through(door, database)),
        ("TILLGATE__DATABASE__MAX_CONNECTIONS", script.connections.to_string()),
        ("TILLGATE__DATABASE__ACQUIRE_TIMEOUT", "2s".to_owned()),
        ("TILLGATE__DATABASE__STATEMENT_TIMEOUT", "2s".to_owned()),
        ("TILLGATE__SERVER__BIND", format!("127.0.0.1:{port}")),
        ("TILLGATE__WEBHOOKS__ALLOWED_NETWORKS", "127.0.0.0/8".to_owned()),
        ("TILLGATE__TIMING__WEBHOOK_SCHEDULE", SCHEDULE.to_owned()),
        ("TILLGATE__TIMING__LEASE", "1500ms".to_owned()),
        ("TILLGATE__TIMING__PROVIDER_TIMEOUT", "800ms".to_owned()),
        ("TILLGATE__TIMING__LOOKUP_SCHEDULE", "100ms,300ms,1s".to_owned()),
        ("TILLGATE__TIMING__POLL_SCHEDULE", "100ms,300ms,1s".to_owned()),
        ("TILLGATE__TIMING__RESEND_GAP", "150ms".to_owned()),
        ("TILLGATE__TIMING__FEED_PERIOD", "200ms".to_owned()),
        ("TILLGATE__TIMING__DEPOSIT_TTL", "15s".to_owned()),
    ];
    let launch = house.launch(&["serve", "--role", "all"]).with(own).with(variables.iter().copied());
    let program = launch.start();
    house.note(&format!("serve on {port}"), &program);
    program
}

/// Makes the customers known at both wallets. Gives Hicoin's numbers of the holders.
async fn known(house: &House, short_tokens: bool) -> Vec<u64> {
    if short_tokens {
        house.sandbox.set_token_life(TokenLife { access_seconds: 2, refresh_seconds: 3600 });
    }
    for payer in 0..PAYERS {
        link(house, &format!("payer-{payer}"), &payer_id(payer)).await;
    }
    let mut uids = Vec::new();
    for holder in 0..HOLDERS {
        let wish = json!({ "customer": format!("holder-{holder}"), "email": format!("holder-{holder}@shop.example") });
        let made = house.post("/v1/customers", &wish).await;
        assert!(matches!(made.status, 200 | 201), "{made:?}");
        let uid: u64 = made.body["accounts"][0]["provider_user"].as_str().expect("a number").parse().expect("a number");
        house.sandbox.set_hicoin_balance(None, uid, "ETH", rust_decimal::Decimal::from(1_000_000)).expect("a balance");
        uids.push(uid);
    }
    uids
}

/// FOMO's number of a payer.
pub fn payer_id(payer: usize) -> String {
    format!("{}", 400 + payer)
}

/// Links a customer to a user of FOMO.
async fn link(house: &House, customer: &str, user: &str) {
    let session = house.sandbox.create_user(user, customer, &[(USDT, rust_decimal::Decimal::from(1_000_000))]);
    let code = house.sandbox.authorize(&session, "acme").expect("a code");
    house.keep_secret(&session);
    house.keep_secret(&code);
    let linked = house.post(&format!("/v1/customers/{customer}/links"), &json!({ "provider": "fomo", "code": code })).await;
    assert_eq!(linked.status, 201, "{:?}", linked.body);
}
