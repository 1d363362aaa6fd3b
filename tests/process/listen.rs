//! `tillgate listen`, as a merchant's developer and a build server run it: real processes, a real gateway, and a receiver that
//! verifies with a library of other hands than ours.

use std::path::PathBuf;

use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tillgate::webhooks::Secret;

use crate::hook::{Got, Hook, Reply};
use crate::house::{Gateway, House};
use crate::program::{Ended, Launch, Program, until};
use crate::talk::deposit_wish;

/// A house with a gateway, and a receiver beside it.
struct Scene {
    house: House,
    gateway: Gateway,
    hook: Hook,
    secret: String,
    key: String,
}

impl Scene {
    async fn open() -> Self {
        Self::with(&[]).await
    }

    async fn with(variables: &[(&str, &str)]) -> Self {
        let house = House::open().await;
        let gateway = house.serve_with("all", variables).await;
        house.link_ada().await;
        let secret = Secret::generate(&[7; 32]).reveal();
        let key = house.make_key("orders:read").await;
        Self { house, gateway, hook: Hook::open().await, secret, key }
    }

    /// Orders whose events can be listened to.
    async fn deposits(&self, names: &[&str]) {
        for name in names {
            let created = self.house.post("/v1/deposits", &deposit_wish(name)).await;
            assert_eq!(created.status, 201, "{created:?}");
        }
    }

    /// What the feed has, once it shows so many.
    async fn feed(&self, count: usize) -> Vec<Value> {
        until("the events", async || {
            let data = self.house.get("/v1/events?limit=100").await.body["data"].as_array().cloned().unwrap_or_default();
            (data.len() >= count).then_some(data)
        })
        .await
    }

    fn state(&self) -> PathBuf {
        self.house.folder.path().join("listen.json")
    }

    fn launch(&self, args: &[&str]) -> Launch {
        let api = self.house.api();
        let common = ["listen", "--forward-to", &self.hook.url, "--url", &api, "--secret-env", "HOOK_SECRET"];
        // Nothing of the gateway's own configuration: this is another machine.
        Launch::new(&[&common[..], args].concat(), self.house.folder.path())
            .with([("HOOK_SECRET", &self.secret), ("TILLGATE_API_KEY", &self.key)])
    }

    fn start(&self, args: &[&str]) -> Program {
        let program = self.launch(args).start();
        self.house.note("listen", &program);
        program
    }

    async fn run(&self, args: &[&str]) -> Ended {
        let ended = self.start(args).end().await;
        assert!(!ended.err.contains("panicked"), "{ended:?}");
        for text in [&ended.out, &ended.err] {
            assert!(!text.contains(&self.secret) && !text.contains(&self.key) && !text.contains("canary"), "a secret is told: {ended:?}");
        }
        ended
    }

    /// Each request was genuine, and its body is the event of the feed without its id.
    fn check(&self, got: &[Got]) {
        let library = Webhook::new(&self.secret).expect("a secret");
        for one in got {
            library.verify(&one.body, &one.headers).expect("a genuine request");
        }
    }

    async fn close(self) {
        self.gateway.program.terminate();
        assert_eq!(self.gateway.program.end().await.code, Some(0));
        self.house.close().await;
    }
}

fn ids(events: &[Value]) -> Vec<String> {
    events.iter().map(|event| event["id"].as_str().expect("an id").to_owned()).collect()
}

fn got_ids(got: &[Got]) -> Vec<String> {
    got.iter().map(|one| one.id.clone()).collect()
}

#[tokio::test]
async fn what_was_there_is_forwarded_in_order_and_genuine_and_once_ends() {
    let scene = Scene::open().await;
    scene.deposits(&["one", "two", "three"]).await;
    let events = scene.feed(6).await;
    let ended = scene.run(&["--once", "--state", "listen.json"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");

    let got = scene.hook.got();
    scene.check(&got);
    assert_eq!(got_ids(&got), ids(&events));
    for (one, event) in got.iter().zip(&events) {
        let mut body: Value = serde_json::from_slice(&one.body).expect("JSON");
        body["id"] = event["id"].clone();
        assert_eq!(&body, event);
    }
    let lines: Vec<&str> = ended.out.lines().collect();
    assert_eq!(lines.len(), events.len(), "{ended:?}");
    assert!(lines[0].contains("deposit.created  one  #1  200  ") && lines[0].ends_with(" ms"), "{ended:?}");

    // The next run has nothing to do, and says so.
    let again = scene.run(&["--once", "--state", "listen.json"]).await;
    assert_eq!((again.code, again.out.as_str()), (Some(0), ""), "{again:?}");
    scene.close().await;
}

#[tokio::test]
async fn the_bytes_are_those_that_the_gateway_itself_sends() {
    let scene = Scene::with(&[("TILLGATE__WEBHOOKS__ALLOWED_NETWORKS", "127.0.0.0/8,::1/128")]).await;
    let endpoint = scene.house.post("/v1/webhook_endpoints", &json!({ "url": scene.hook.url })).await;
    assert_eq!(endpoint.status, 201, "{endpoint:?}");
    scene.deposits(&["one"]).await;
    scene.hook.has(2).await;
    scene.feed(2).await;
    let sent = scene.hook.got();
    assert_eq!(scene.run(&["--once"]).await.code, Some(0));
    let forwarded = scene.hook.got().split_off(sent.len());
    let told = |got: &[Got]| -> Vec<String> { got.iter().map(|one| format!("{} {:?}", one.id, std::str::from_utf8(&one.body))).collect() };
    assert_eq!(told(&forwarded), told(&sent));
    scene.close().await;
}

#[tokio::test]
async fn after_kill_9_it_goes_on_where_it_was() {
    let scene = Scene::open().await;
    scene.deposits(&["one", "two", "three", "four"]).await;
    let events = ids(&scene.feed(8).await);
    // The receiver keeps the fourth event without an answer, and the process dies meanwhile.
    scene.hook.replies(&[Reply::Status(200), Reply::Status(200), Reply::Status(200), Reply::Hang]);
    let program = scene.start(&["--since", "start", "--state", "listen.json"]);
    scene.hook.has(4).await;
    let killed = program.kill().await;
    assert_eq!(killed.out.lines().count(), 3, "{killed:?}");
    assert!(std::fs::read_to_string(scene.state()).expect("the state").contains(&events[2]));

    scene.hook.answer(200);
    let ended = scene.run(&["--once", "--state", "listen.json"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let got = scene.hook.got();
    scene.check(&got);
    // The fourth came twice, under the same id: nobody can know better.
    assert_eq!(got_ids(&got), [&events[..4], &events[3..]].concat());
    scene.close().await;
}

#[tokio::test]
async fn a_receiver_that_is_down_misses_nothing() {
    let mut scene = Scene::open().await;
    scene.deposits(&["one", "two"]).await;
    let events = ids(&scene.feed(4).await);
    scene.hook.close().await;
    let program = scene.start(&["--since", "start"]);
    program.says("that nobody listens", |output| output.out().contains("again in 1s").then_some(())).await;
    // It comes back, and is not well yet.
    scene.hook.answer(500);
    scene.hook.reopen().await;
    program
        .says("the refusal", |output| output.out().lines().any(|line| line.contains("  500  ") && line.contains("again in")).then_some(()))
        .await;
    scene.hook.answer(204);
    until("all of it", async || (scene.hook.taken().len() == 4).then_some(())).await;
    // What happens now comes, too.
    scene.deposits(&["three"]).await;
    until("what is new", async || (scene.hook.taken().len() == 6).then_some(())).await;
    let all = ids(&scene.feed(6).await);
    assert_eq!(all[..4], events);
    assert_eq!(got_ids(&scene.hook.taken()), all);
    scene.check(&scene.hook.got());
    program.interrupt();
    let ended = program.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains(&format!("--since {}", all[5])), "{ended:?}");
    assert!(!ended.out.contains("canary") && !ended.err.contains("canary"), "the receiver's token is told: {ended:?}");
    scene.close().await;
}

#[tokio::test]
async fn a_gateway_that_goes_away_is_waited_for() {
    let mut scene = Scene::open().await;
    let program = scene.start(&[]);
    program.says("where it begins", |output| output.err().contains("Forwarding to").then_some(())).await;
    scene.gateway.program.terminate();
    program.says("that the gateway is away", |output| output.err().contains("cannot be reached").then_some(())).await;
    scene.gateway = scene.house.serve("all").await;
    scene.deposits(&["one"]).await;
    scene.hook.has(2).await;
    program.kill().await;
    scene.close().await;
}

#[tokio::test]
async fn once_says_which_event_was_refused_and_stays_before_it() {
    let scene = Scene::open().await;
    scene.deposits(&["one"]).await;
    let events = ids(&scene.feed(2).await);
    for (status, said) in [(500, "it answered 500"), (302, "it answered 302"), (410, "wants no events")] {
        scene.hook.answer(status);
        let ended = scene.run(&["--once", "--no-retry", "--state", "listen.json"]).await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains(said), "{ended:?}");
        assert!(status == 410 || ended.err.contains(&events[0]), "{ended:?}");
    }
    assert_eq!(got_ids(&scene.hook.got()), vec![events[0].clone(); 3]);
    // Then it is well again: nothing was left out.
    scene.hook.answer(200);
    assert_eq!(scene.run(&["--once", "--state", "listen.json"]).await.code, Some(0));
    assert_eq!(got_ids(&scene.hook.taken()), events);
    scene.close().await;
}

#[tokio::test]
async fn it_forwards_what_it_is_asked_for_from_where_it_is_asked() {
    let scene = Scene::open().await;
    scene.deposits(&["one", "two"]).await;
    let events = scene.feed(4).await;
    assert_eq!(scene.run(&["--once", "--events", "deposit.created,payout.*"]).await.code, Some(0));
    let created: Vec<Value> = events.iter().filter(|event| event["type"] == "deposit.created").cloned().collect();
    assert_eq!(got_ids(&scene.hook.got()), ids(&created));

    let last = &ids(&events)[2];
    assert_eq!(scene.run(&["--once", "--since", last]).await.code, Some(0));
    assert_eq!(scene.hook.got().len(), created.len() + 1);
    let now = scene.run(&["--once", "--since", "now"]).await;
    assert_eq!((now.code, now.out.as_str()), (Some(0), ""), "{now:?}");
    scene.close().await;
}

#[tokio::test]
async fn what_is_wrong_is_said_with_what_to_do() {
    let scene = Scene::open().await;
    let writer = scene.house.make_key("deposits:write").await;
    let (api, nobody) = (scene.house.api(), "http://127.0.0.1:1");
    let stranger = "evt_0193f2a7c1d27b5e8f4e2a90c3d4e5f6";
    std::fs::write(scene.state(), "{}{").expect("a file");
    for (key, args, said) in [
        (None, vec![], "TILLGATE_API_KEY"),
        (None, vec!["--key-env", "OTHER"], "OTHER"),
        (Some("tg_wrong"), vec![], "key create"),
        (Some(writer.as_str()), vec![], "orders:read"),
        (Some(&scene.key), vec!["--url", nobody], "is it running"),
        (Some(&scene.key), vec!["--url", &scene.hook.base], "is --url a Tillgate's address"),
        (Some(&scene.key), vec!["--since", stranger], "--since start"),
        (Some(&scene.key), vec!["--events", "deposit.sung"], "deposit.sung"),
        (Some(&scene.key), vec!["--secret-env", "NOT_SET"], "NOT_SET"),
        (Some(&scene.key), vec!["--state", "listen.json"], "no state file"),
        (Some(&scene.key), vec!["--state", "nowhere/listen.json"], "cannot be written"),
        (Some(&scene.key), vec!["--forward-to", "ftp://localhost/"], "--forward-to"),
    ] {
        let own = |name: &str| !args.contains(&name);
        let mut all = vec!["listen", "--once"];
        all.extend(own("--url").then_some(["--url", &api]).into_iter().flatten());
        all.extend(own("--forward-to").then_some(["--forward-to", &scene.hook.url]).into_iter().flatten());
        all.extend(&args);
        let launch = Launch::new(&all, scene.house.folder.path()).with(key.map(|key| ("TILLGATE_API_KEY", key)));
        let ended = launch.run().await;
        assert_eq!(ended.code, Some(1), "{args:?}: {ended:?}");
        assert!(ended.err.contains(said), "{args:?}: {ended:?}");
        assert!(!ended.err.contains(&scene.key) && !ended.err.contains("tg_wrong"), "{ended:?}");
    }
    assert_eq!(scene.run(&["--since", "yesterday"]).await.code, Some(2));
    assert!(scene.hook.got().iter().all(|one| one.id.is_empty()), "nothing is sent by a command that was wrong");
    scene.close().await;
}

#[tokio::test]
async fn a_secret_that_is_made_for_the_run_is_shown_and_signs() {
    let scene = Scene::open().await;
    scene.deposits(&["one"]).await;
    scene.feed(2).await;
    let args = ["listen", "--once", "--forward-to", &scene.hook.url, "--url", &scene.house.api()];
    let ended = Launch::new(&args, scene.house.folder.path()).with([("TILLGATE_API_KEY", &scene.key)]).run().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let shown = ended.err.split(|letter: char| letter.is_whitespace() || letter == ',').find(|word| word.starts_with("whsec_"));
    let library = Webhook::new(shown.expect("a secret")).expect("a secret");
    for one in scene.hook.got() {
        library.verify(&one.body, &one.headers).expect("a genuine request");
    }
    assert!(!ended.out.contains("whsec_"), "{ended:?}");
    scene.close().await;
}
