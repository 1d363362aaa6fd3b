//! The receivers that the guide shows, in other languages and with the libraries that merchants use there, take what a real
//! gateway sends.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command as Plain, Stdio};

use serde_json::{Value, json};
use tillgate::domain::clock::Clock;
use tokio::process::{Child, Command};

use crate::house::{House, free_port};
use crate::program::until;
use crate::talk::deposit_wish;

/// A program that runs a receiver, and the receiver's file.
struct Language {
    program: PathBuf,
    receiver: &'static str,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Without its tools a language is left out, where a person sees it. A build server has the tools.
fn left_out(language: &str) {
    let said = format!("{language} with the package standardwebhooks is not there: `.ci/tools` installs it");
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{said}");
    // Past the test runner, which would keep it to itself.
    let _ = writeln!(std::io::stderr(), "LEFT OUT: {said}");
}

fn works(program: &Path, args: &[&str], folder: &Path) -> bool {
    let run = Plain::new(program).args(args).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.success())
}

#[tokio::test]
async fn python_takes_real_deliveries() {
    let program = root().join(".local/venv/bin/python");
    if !works(&program, &["-c", "import standardwebhooks"], root()) {
        return left_out("Python");
    }
    takes_real_deliveries(&Language { program, receiver: "receiver.py" }).await;
}

#[tokio::test]
async fn node_takes_real_deliveries() {
    let program = PathBuf::from("node");
    if !works(&program, &["-e", "require('standardwebhooks')"], &root().join(".local/node")) {
        return left_out("Node");
    }
    takes_real_deliveries(&Language { program, receiver: "receiver.mjs" }).await;
}

async fn takes_real_deliveries(language: &Language) {
    let house = House::open().await;
    let gateway = house.serve_with("all", &[("TILLGATE__WEBHOOKS__ALLOWED_NETWORKS", "127.0.0.0/8")]).await;
    let address = format!("http://127.0.0.1:{}/hook", free_port());
    let endpoint = house.post("/v1/webhook_endpoints", &json!({ "url": address })).await;
    assert_eq!(endpoint.status, 201, "{endpoint:?}");
    let receiver = start(&house, language, &address, endpoint.text("secret"));
    until("the receiver runs", async || house.http.get(&address).send().await.ok()).await;

    house.link_ada().await;
    create(&house, "one").await;
    told(&house, &["deposit.created one 1", "deposit.awaiting_payment one 2"]).await;
    // While secrets are exchanged there are two signatures, of which this receiver knows the second.
    let rotated = house.post(&format!("/v1/webhook_endpoints/{}/rotate_secret", endpoint.text("id")), &json!({})).await;
    assert_eq!(rotated.status, 200, "{rotated:?}");
    create(&house, "two").await;
    told(&house, &["deposit.created two 1", "deposit.awaiting_payment two 2"]).await;

    let forged = house.http.post(&address).body(r#"{"type":"deposit.succeeded"}"#);
    let now = Clock::system().now().unix_timestamp();
    let forged = forged.header("webhook-id", "evt_1").header("webhook-timestamp", now).header("webhook-signature", "v1,AAAA").send().await;
    assert_eq!(forged.expect("an answer").status(), 400);
    assert_eq!(std::fs::read_to_string(house.folder.path().join("told.txt")).expect("the output").lines().count(), 4);

    drop(receiver);
    gateway.program.terminate();
    assert_eq!(gateway.program.end().await.code, Some(0));
    house.close().await;
}

/// Starts a receiver; what it tells goes to a file. It ends with the value.
fn start(house: &House, language: &Language, address: &str, secret: &str) -> Child {
    let folder = house.folder.path();
    let text = std::fs::read_to_string(root().join("tests/languages").join(language.receiver)).expect("the receiver");
    let file = house.folder.write(language.receiver, &text);
    // Where Node looks for packages: beside the file.
    std::os::unix::fs::symlink(root().join(".local/node/node_modules"), folder.join("node_modules")).expect("a link");
    let port = address.trim_end_matches("/hook").rsplit(':').next().expect("a port");
    let mut command = Command::new(&language.program);
    command.arg(file).current_dir(folder).env("WEBHOOK_SECRET", secret).env("PORT", port).kill_on_drop(true);
    command.stdout(File::create(folder.join("told.txt")).expect("a file")).stderr(Stdio::null());
    command.spawn().expect("the receiver starts")
}

async fn create(house: &House, trade_id: &str) {
    let created = house.post("/v1/deposits", &deposit_wish(trade_id)).await;
    assert_eq!(created.status, 201, "{created:?}");
}

/// Waits until the receiver has told of these events, in this order, and the gateway knows that it has them.
async fn told(house: &House, lines: &[&str]) {
    until("the receiver tells of them", async || {
        let text = std::fs::read_to_string(house.folder.path().join("told.txt")).unwrap_or_default();
        text.ends_with(&format!("{}\n", lines.join("\n"))).then_some(())
    })
    .await;
    until("all is delivered", async || {
        let deliveries = house.get("/v1/webhook_deliveries").await.body["data"].as_array().cloned().unwrap_or_default();
        let delivered = |one: &Value| one["status"] == "delivered" && one["attempts"][0]["status"] == 204;
        deliveries.iter().all(delivered).then_some(())
    })
    .await;
}

#[test]
fn the_guide_shows_the_receivers_that_are_tested() {
    let guide = std::fs::read_to_string(root().join("docs/WEBHOOKS.md")).expect("the guide");
    for receiver in ["receiver.py", "receiver.mjs"] {
        let text = std::fs::read_to_string(root().join("tests/languages").join(receiver)).expect("the receiver");
        assert!(guide.contains(&format!("\n{text}```\n")), "docs/WEBHOOKS.md does not show {receiver} as it is");
    }
}
