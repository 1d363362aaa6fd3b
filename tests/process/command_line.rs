//! Every command, as the operator and the newcomer type it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use futures_util::future::join_all;
use serde_json::Value;
use tillgate::app::private_postgres::PrivatePostgres;

use crate::database::{connect, empty_database, execute, fresh_database};
use crate::house::{House, VAULT_KEY, basics, free_port};
use crate::program::{Ended, Folder, Launch, until};
use crate::talk::{call, client_without_memory, log_line, payout_wish};

/// Both outputs, for messages.
fn all(ended: &Ended) -> String {
    format!("{}{}", ended.out, ended.err)
}

fn succeeds(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{}", all(ended));
}

/// It ends with a failure of its own making, and says what is named.
fn fails_naming(ended: &Ended, named: &str) {
    assert_eq!(ended.code, Some(1), "{}", all(ended));
    assert!(all(ended).contains(named), "{named:?} is not named: {}", all(ended));
    assert!(!ended.err.contains("panicked"), "{}", ended.err);
}

/// Only what every command needs.
fn command(args: &[&str], folder: &Folder, database: &str) -> Launch {
    Launch::new(args, folder.path()).with(basics(database, free_port()))
}

#[tokio::test(flavor = "multi_thread")]
async fn migrate_makes_the_schema_and_does_nothing_the_second_time() {
    let (folder, database) = (Folder::new(), empty_database().await);
    // Two at once, as replicas do it, and once more.
    let migrate = command(&["migrate"], &folder, &database);
    for ended in join_all([migrate.run(), migrate.run()]).await {
        succeeds(&ended);
    }
    let again = migrate.run().await;
    succeeds(&again);
    assert_eq!(again.out, "The schema is up to date.\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_refuses_a_schema_that_is_not_its_own() {
    let (folder, empty, newer) = (Folder::new(), empty_database().await, fresh_database().await);
    fails_naming(&command(&["serve"], &folder, &empty).run().await, "tillgate migrate");
    execute(
        &mut connect(&newer).await,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (99991231000000, 'of tomorrow', true, '\\x00', 1)",
    )
    .await;
    for args in [&["serve"][..], &["serve", "--role", "worker"], &["migrate"]] {
        fails_naming(&command(args, &folder, &newer).run().await, "99991231000000");
    }
    let doctor = command(&["doctor"], &folder, &newer).run().await;
    fails_naming(&doctor, "99991231000000");
    assert!(doctor.out.contains("ok    database"), "{}", doctor.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_unknown_or_wrong_key_stops_the_start_with_its_name() {
    let (folder, database) = (Folder::new(), fresh_database().await);
    for (missing, key) in [
        ("TILLGATE__DATABASE__URL", "database.url"),
        ("TILLGATE__VAULT__KEY", "vault.key"),
        ("TILLGATE__SERVER__PUBLIC_URL", "server.public_url"),
    ] {
        for args in [&["serve"][..], &["serve", "--role", "worker"], &["config", "check"], &["doctor"]] {
            let ended = command(args, &folder, &database).without(missing).run().await;
            fails_naming(&ended, missing);
            fails_naming(&ended, key);
        }
    }
    for (name, value, named) in [
        ("TILLGATE__DATABASE__URRL", "x", "urrl"),
        ("TILLGATE__NONSENSE", "x", "nonsense"),
        ("TILLGATE__NONSENSE__KEY", "x", "nonsense"),
        ("TILLGATE__TIMING__LEASE", "soon", "timing.lease"),
        ("TILLGATE__TIMING__LOOKUP_SCHEDULE", "5s,,soon", "timing.lookup_schedule"),
        ("TILLGATE__DATABASE__MAX_CONNECTIONS", "many", "database.max_connections"),
        ("TILLGATE__DATABASE__MAX_CONNECTIONS", "0", "database.max_connections"),
        ("TILLGATE__SERVER__BIND", "somewhere", "server.bind"),
        ("TILLGATE__SERVER__PUBLIC_URL", "somewhere", "server.public_url"),
        ("TILLGATE__LOG__FORMAT", "yaml", "log.format"),
        ("TILLGATE__LOG__FILTER", "=,=", "log.filter"),
        ("TILLGATE__VAULT__KEY", "c2hvcnQ=", "vault.key"),
        ("TILLGATE__VAULT__PREVIOUS_KEYS", "c2hvcnQ=", "vault.previous_keys"),
        ("TILLGATE__DATABASE__URL", "nothing", "database.url"),
        ("TILLGATE__DATABASE__URL_FILE", "/nonexistent/url", "/nonexistent/url"),
    ] {
        for args in [&["serve"][..], &["config", "check"], &["doctor"]] {
            let ended = command(args, &folder, &database).with([(name, value)]).run().await;
            assert!(
                ended.code == Some(1) && all(&ended).contains(named),
                "{args:?} with {name}={value} does not name {named}: {}",
                all(&ended)
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn config_check_and_doctor_say_that_all_is_well() {
    let (folder, database) = (Folder::new(), fresh_database().await);
    let checked = command(&["config", "check"], &folder, &database).run().await;
    succeeds(&checked);
    assert_eq!(checked.out, "The configuration is complete.\n");
    let doctor = command(&["doctor"], &folder, &database).run().await;
    succeeds(&doctor);
    assert!(doctor.out.lines().count() >= 4 && doctor.out.lines().all(|line| line.starts_with("ok ")), "{}", doctor.out);

    let nowhere = [("TILLGATE__DATABASE__URL", "postgres://localhost:1/x"), ("TILLGATE__DATABASE__ACQUIRE_TIMEOUT", "300ms")];
    let doctor = command(&["doctor"], &folder, &database).with(nowhere).run().await;
    fails_naming(&doctor, "FAIL  database");
    let empty = empty_database().await;
    fails_naming(&command(&["doctor"], &folder, &empty).run().await, "FAIL  schema");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_come_from_files_and_variables_and_the_nearer_one_wins() {
    let (folder, database) = (Folder::new(), fresh_database().await);
    let (url, key) = (folder.write("secrets/url", &format!("{}\n", *database)), folder.write("secrets/key", &format!("{VAULT_KEY}\r\n")));
    folder.write("config/staging.toml", "[server]\npublic_url = \"http://staging.example\"\n[timing]\nlease = \"never\"\n");
    let mounted = command(&["doctor"], &folder, &database)
        .without("TILLGATE__DATABASE__URL")
        .without("TILLGATE__VAULT__KEY")
        .without("TILLGATE__SERVER__PUBLIC_URL")
        .with([("TILLGATE__DATABASE__URL_FILE", url), ("TILLGATE__VAULT__KEY_FILE", key)])
        .with([("TILLGATE_ENV", "staging")]);
    // The file's wrong lease is hidden by the variable's right one.
    succeeds(&mounted.run().await);
    fails_naming(&mounted.clone().without("TILLGATE__TIMING__LEASE").run().await, "timing.lease");
    fails_naming(&mounted.with([("TILLGATE_ENV", "nowhere")]).run().await, "nowhere.toml");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_of_others_that_is_no_text_disturbs_nobody() {
    let (folder, database) = (Folder::new(), fresh_database().await);
    let strange = [(OsString::from("SOMEBODY_ELSES"), OsString::from_vec(vec![0xff, 0xfe]))];
    succeeds(&command(&["config", "check"], &folder, &database).with(strange).run().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_with_a_single_connection_works() {
    let house = House::open().await;
    let one = [("TILLGATE__DATABASE__MAX_CONNECTIONS", "1"), ("TILLGATE__DATABASE__ACQUIRE_TIMEOUT", "2s")];
    let gateway = house.serve_with("all", &one).await;
    house.payout("p-1").await;
    house.comes_to("p-1", &["succeeded"]).await;
    gateway.program.terminate();
    succeeds(&gateway.program.end().await);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_named() {
    let (folder, database) = (Folder::new(), fresh_database().await);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    for (name, key) in [("TILLGATE__SERVER__BIND", "server.bind"), ("TILLGATE__SERVER__MANAGEMENT_BIND", "server.management_bind")] {
        let ended = command(&["serve"], &folder, &database).with([(name, address.as_str())]).run().await;
        fails_naming(&ended, key);
        fails_naming(&ended, &address);
    }
}

/// A merchants' file with an account at every provider.
const MERCHANTS: &str = r#"
[[merchant]]
name = "acme"
return_origins = ["https://shop.example"]   # where browsers may be sent back to
[merchant.fomo]                       # flow = "app" (default) or "web"
base_url = "http://127.0.0.1:9101/fomo/"
client_id = "acme"
client_secret = { env = "ACME_FOMO_SECRET" }
wallet_pwd = { file = "secrets/wallet-pwd" }
redirect_uri = "https://pay.acme.example/oauth/fomo/return"
allow_ips = ["39.108.51.7"]           # optional: source addresses of callbacks
[merchant.hicoin]
base_url = "http://127.0.0.1:9102/"
app_id = "acme-hicoin"
app_secret = { env = "ACME_HICOIN_SECRET" }
payout_uid = "10000"                  # from_uid of withdrawals
oauth_base_url = "http://127.0.0.1:9102/api"
oauth_app_id = "acme-oauth"           # default: app_id
oauth_secret = { env = "ACME_OAUTH_SECRET" }        # default: app_secret
[merchant.youliao]
base_url = "http://127.0.0.1:9103/api/oauth"
redirect_base = "http://127.0.0.1:9103/oAuth"
app_id = "acme-youliao"
app_secret = { env = "ACME_YOULIAO_SECRET" }
"#;

const MERCHANT_SECRETS: [(&str, &str); 4] = [
    ("ACME_FOMO_SECRET", "canary-fomo"),
    ("ACME_HICOIN_SECRET", "canary-hicoin"),
    ("ACME_OAUTH_SECRET", "canary-oauth"),
    ("ACME_YOULIAO_SECRET", "canary-youliao"),
];

/// Applies a merchants' file.
async fn apply(folder: &Folder, database: &str, text: &str) -> Ended {
    let file = folder.write("merchants.toml", text);
    folder.write("secrets/wallet-pwd", "canary-wallet\n");
    let ended = command(&["merchant", "apply", &file.display().to_string()], folder, database).with(MERCHANT_SECRETS).run().await;
    assert!(!all(&ended).contains("canary"), "{}", all(&ended));
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn the_merchants_file_of_the_design_applies_and_the_second_time_nothing_changes() {
    let (folder, database) = (Folder::new(), fresh_database().await);
    let list = command(&["merchant", "list"], &folder, &database);
    let none = list.run().await;
    succeeds(&none);
    assert_eq!(none.out, "");

    for change in ["created", "unchanged"] {
        let applied = apply(&folder, &database, MERCHANTS).await;
        succeeds(&applied);
        let lines: Vec<&str> = applied.out.lines().collect();
        assert_eq!(lines.len(), 4, "{}", applied.out);
        assert!(lines.iter().all(|line| line.contains("acme") && line.ends_with(change)), "{change}: {}", applied.out);
    }
    let changed = apply(&folder, &database, &MERCHANTS.replace("39.108.51.7", "39.108.51.8")).await;
    assert!(changed.out.contains("account at fomo updated") && changed.out.contains("account at hicoin unchanged"), "{}", changed.out);

    let without_youliao = MERCHANTS.split("[merchant.youliao]").next().expect("the rest");
    let closed = apply(&folder, &database, without_youliao).await;
    assert!(closed.out.contains("account at youliao closed"), "{}", closed.out);
    let listed = list.run().await;
    assert_eq!(listed.out.lines().count(), 2, "{}", listed.out);
    for part in ["acme", "mer_", "fomo", "hicoin", "youliao (closed)", "/callbacks/hicoin/"] {
        assert!(listed.out.contains(part), "{part}: {}", listed.out);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_in_a_merchants_file_is_named_and_nothing_of_it_is_applied() {
    let (folder, database) = (Folder::new(), fresh_database().await);
    for (right, wrong, named) in [
        ("client_id", "client_idd", "client_idd"),
        ("client_id = \"acme\"", "", "client_id"),
        ("client_id = \"acme\"", "client_id = 7", "client_id"),
        ("client_id = \"acme\"", "client_id = \"acme\"\nunder = \"ignore\"", "under"),
        ("client_id = \"acme\"", "client_id = \"acme\"\ntolerance_percent = \"much\"", "tolerance_percent"),
        ("client_id = \"acme\"", "client_id = \"acme\"\nflow = \"both\"", "flow"),
        ("39.108.51.7", "home", "allow_ips"),
        ("http://127.0.0.1:9102/\"", "hicoin\"", "base_url"),
        ("redirect_base", "redirect_bas", "redirect_bas"),
        ("[merchant.youliao]", "[merchant.paypal]", "paypal"),
        ("ACME_OAUTH_SECRET", "ACME_NOWHERE", "ACME_NOWHERE"),
        ("secrets/wallet-pwd", "secrets/nowhere", "secrets/nowhere"),
        ("name = \"acme\"", "name = \"a b\"", "name"),
        ("return_origins", "return_origin", "return_origin"),
        ("https://shop.example", "shop.example", "return_origins"),
        ("[[merchant]]", "[[merchants]]", "merchants"),
    ] {
        // A right merchant stands before the wrong one.
        let good = format!("[[merchant]]\nname = \"good\"\n{}", MERCHANTS.replace(right, wrong));
        let ended = apply(&folder, &database, &good).await;
        assert!(ended.code == Some(1) && all(&ended).contains(named), "{wrong:?} does not name {named}: {}", all(&ended));
        let listed = command(&["merchant", "list"], &folder, &database).run().await;
        assert_eq!(listed.out, "", "{wrong:?}: half of a file is applied");
    }
    let nowhere = command(&["merchant", "apply", "nowhere.toml"], &folder, &database).run().await;
    fails_naming(&nowhere, "nowhere.toml");
}

/// Whether a text is an API key: `^tg_[A-Za-z0-9_-]{43}$`.
fn is_key(text: &str) -> bool {
    text.strip_prefix("tg_")
        .is_some_and(|rest| rest.len() == 43 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_printed_alone_works_at_once_and_is_revoked_within_a_second() {
    let house = House::open().await;
    let gateway = house.serve("all").await;
    for by in ["id", "beginning", "key"] {
        let made = house.launch(&["key", "create", "--merchant", "acme", "--scopes", "orders:read,payouts:write"]).run().await;
        succeeds(&made);
        assert_eq!(made.out.lines().count(), 1, "{:?}", made.out);
        let key = made.out.trim_end_matches('\n').to_owned();
        assert!(is_key(&key), "{key:?}");
        assert!(!made.err.contains(&key), "{}", made.err);
        let id = made.err.split_whitespace().find(|word| word.starts_with("key_")).expect("its id").to_owned();

        let status = async || call(&house.http, &house.api(), &key, "GET", "/v1/payouts", None).await.expect("an answer").status;
        assert_eq!(status().await, 200, "it works at once");
        let deposit = call(&house.http, &house.api(), &key, "POST", "/v1/deposits", Some(&payout_wish("d"))).await.expect("an answer");
        // Also where the body is wrong: who may not do it learns no more than that.
        assert_eq!((deposit.status, deposit.text("code")), (403, "scope_missing"));

        let named = match by {
            "id" => id,
            "beginning" => key.chars().take(10).collect(),
            _ => key.clone(),
        };
        let revoked = house.run(&["key", "revoke", "--merchant", "acme", &named]).await;
        succeeds(&revoked);
        let gone =
            tokio::time::timeout(std::time::Duration::from_secs(1), until("it is refused", async || (status().await == 401).then_some(())));
        gone.await.unwrap_or_else(|_| panic!("revoked by its {by}, and it still works after a second"));
        fails_naming(&house.run(&["key", "revoke", "--merchant", "acme", &named]).await, "no live key");
        assert_eq!(call(&house.http, &house.api(), &house.key, "GET", "/v1/payouts", None).await.expect("an answer").status, 200);
    }
    for (args, named) in [
        (&["key", "create", "--merchant", "nobody", "--scopes", "admin"][..], "nobody"),
        (&["key", "create", "--merchant", "acme", "--scopes", "everything"], "everything"),
        (&["key", "create", "--merchant", "acme", "--scopes", "admin", "--allow-ips", "home"], "home"),
        (&["key", "revoke", "--merchant", "nobody", "tg_"], "nobody"),
        (&["key", "revoke", "--merchant", "acme", "tg_"], "no live key"),
    ] {
        let ended = house.launch(args).run().await;
        fails_naming(&ended, named);
        assert_eq!(ended.out, "", "a failure prints no key");
    }
    gateway.program.terminate();
    succeeds(&gateway.program.end().await);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_is_followed_from_the_command_line() {
    let house = House::open().await;
    let made = house.launch(&["key", "create", "--merchant", "acme", "--name", "olga", "--scopes", "admin"]).run().await;
    succeeds(&made);
    fails_naming(&house.run(&["key", "create", "--merchant", "acme", "--name", " ", "--scopes", "admin"]).await, "name");
    let whole = house.run(&["audit", "verify"]).await;
    succeeds(&whole);
    let head = whole.out.lines().find_map(|line| line.strip_prefix("ok    acme: ")?.split("head ").nth(1)).expect("a head").to_owned();
    let expect = ["audit", "verify", "--merchant", "acme", "--expect", &head];
    succeeds(&house.run(&expect).await);
    fails_naming(&house.run(&["audit", "verify", "--merchant", "nobody"]).await, "nobody");
    let wrong = house.run(&["audit", "verify", "--merchant", "acme", "--expect", "x@1"]).await;
    assert_eq!(wrong.code, Some(2), "{}", all(&wrong));
    let mut database = connect(&house.database).await;
    // The newest row and the head go back together: the chain itself is whole.
    execute(
        &mut database,
        "DO $$ BEGIN
             SET LOCAL session_replication_role = replica;
             DELETE FROM audit_log l USING audit_heads h WHERE l.merchant_id = h.merchant_id AND l.position = h.position;
             UPDATE audit_heads h SET position = l.position, hash = l.hash FROM audit_log l
             WHERE l.merchant_id = h.merchant_id AND l.position = h.position - 1;
         END $$",
    )
    .await;
    succeeds(&house.run(&["audit", "verify"]).await);
    fails_naming(&house.run(&expect).await, "removed");
    let name: String =
        sqlx::query_scalar("SELECT actor_name FROM audit_log WHERE position = 2").fetch_one(&mut database).await.expect("a row");
    execute(
        &mut database,
        "DO $$ BEGIN SET LOCAL session_replication_role = replica; UPDATE audit_log SET actor_name = 'eve' WHERE position = 2; END $$",
    )
    .await;
    fails_naming(&house.run(&["audit", "verify"]).await, "acme: position 2: altered");
    let named = house.run(&["verify"]).await;
    assert_eq!(named.code, Some(3), "{}", all(&named));
    assert!(named.out.contains("audit_log_is_whole (I21)  acme audit log: position 2: altered"), "{}", all(&named));
    // Every house is whole in the end.
    execute(
        &mut database,
        "DO $$ BEGIN SET LOCAL session_replication_role = replica; UPDATE audit_log SET actor_name = 'NAME' WHERE position = 2; END $$"
            .replace("NAME", &name)
            .as_str(),
    )
    .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_applied_serves_the_running_gateway_within_a_second() {
    let house = House::open().await;
    let gateway = house.serve("all").await;
    house.payout("p-1").await;
    let file = house.folder.path().join("merchants.toml");
    let text = std::fs::read_to_string(&file).expect("the file");
    let account = text.find("[merchant.fomo]").expect("an account");
    let closed = house.folder.write("closed.toml", &text[..account]);
    succeeds(&house.run(&["merchant", "apply", &closed.display().to_string()]).await);
    let mut asked = 0;
    let refused = until("the account is closed", async || {
        asked += 1;
        let answer = house.post("/v1/payouts", &payout_wish(&format!("after-{asked}"))).await;
        (answer.status == 422).then_some(answer)
    });
    let refused = tokio::time::timeout(std::time::Duration::from_secs(1), refused).await;
    assert_eq!(refused.expect("within a second").text("code"), "provider_disabled");
    // What was granted before goes on.
    house.comes_to("p-1", &["succeeded"]).await;
    for number in 1..asked {
        house.comes_to(&format!("after-{number}"), &["succeeded"]).await;
    }
    gateway.program.terminate();
    succeeds(&gateway.program.end().await);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_explains_itself() {
    let folder = Folder::new();
    let version = Launch::new(&["--version"], folder.path()).run().await;
    succeeds(&version);
    assert_eq!(version.out, concat!("tillgate ", env!("CARGO_PKG_VERSION"), "\n"));
    let help = Launch::new(&["--help"], folder.path()).run().await;
    succeeds(&help);
    for words in [
        "serve",
        "migrate",
        "demo",
        "sandbox",
        "dev",
        "merchant",
        "merchant apply",
        "merchant list",
        "key",
        "key create",
        "key revoke",
        "webhook",
        "webhook verify",
        "config",
        "config check",
        "doctor",
        "openapi",
    ] {
        let args: Vec<&str> = words.split(' ').chain(["--help"]).collect();
        let explained = Launch::new(&args, folder.path()).run().await;
        succeeds(&explained);
        assert!(explained.out.contains("Usage: tillgate") && explained.out.contains(words), "{words}: {}", explained.out);
        if let [one, "--help"] = args[..] {
            assert!(help.out.contains(one), "{one} is not in the help");
        }
    }
    for args in [&["nonsense"][..], &["serve", "--role", "boss"], &["key", "create"], &[]] {
        let ended = Launch::new(args, folder.path()).run().await;
        assert_eq!(ended.code, Some(2), "{args:?}: {}", all(&ended));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn openapi_prints_a_description_that_programs_can_read() {
    let folder = Folder::new();
    // Nothing is configured: the description needs nothing.
    let printed = Launch::new(&["openapi"], folder.path()).run().await;
    succeeds(&printed);
    let document: Value = serde_json::from_str(&printed.out).expect("JSON");
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")), "{}", document["openapi"]);
    for path in ["/v1/deposits", "/v1/payouts", "/v1/payouts/{trade_id}", "/v1/orders/{trade_id}/timeline", "/callbacks/fomo/{capability}"]
    {
        assert!(document["paths"][path].is_object(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_can_be_cut_off_by_a_pager() {
    let folder = Folder::new();
    let line = format!("set -o pipefail; {} openapi | head -1", env!("CARGO_BIN_EXE_tillgate"));
    let shell = tokio::process::Command::new("bash").args(["-c", &line]).current_dir(folder.path()).output().await.expect("a shell");
    let err = String::from_utf8_lossy(&shell.stderr);
    assert!(!err.contains("panicked"), "{err}");
    assert_eq!(String::from_utf8_lossy(&shell.stdout), "{\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sandbox_serves_alone_until_it_is_stopped() {
    let folder = Folder::new();
    let sandbox = Launch::new(&["sandbox", "--port", "0"], folder.path()).start();
    let address = |text: &str, end: &str| {
        let from = text.find("http://")?;
        let rest = &text[from..];
        Some(rest[..rest.find(end)? + end.len()].to_owned())
    };
    let fomo = sandbox.says("where FOMO is", |output| address(&output.out(), "/fomo/")).await;
    tillgate_rustls();
    let coins = client_without_memory().get(format!("{fomo}wallet/get_active_coins")).send().await.expect("an answer");
    assert_eq!(coins.status(), 200);
    assert!(coins.text().await.expect("a body").contains("usdt"));
    sandbox.terminate();
    succeeds(&sandbox.end().await);
}

/// The client wants a crypto provider, which nobody in this process may have installed yet.
fn tillgate_rustls() {
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// A program that starts a Postgres of its own, with nothing else from the environment.
fn with_postgres(args: &[&str], folder: &Folder) -> Launch {
    let programs = PrivatePostgres::bin_dir().expect("the programs of a Postgres server");
    Launch::new(args, folder.path()).with([("TILLGATE_PG_BIN", programs)]).with([("TMPDIR", folder.path())])
}

/// The servers whose folders (`tg-PID-N`) are left.
fn left(folder: &Folder) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.path()).expect("a folder").filter_map(Result::ok).map(|entry| entry.path());
    entries.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("tg-"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_ends_well_and_leaves_nothing() {
    let folder = Folder::new();
    let demo = with_postgres(&["demo"], &folder).run().await;
    succeeds(&demo);
    assert_eq!(demo.out.lines().last(), Some("Every order stands where it must."), "{}", demo.out);
    assert!(left(&folder).is_empty(), "{:?}", left(&folder));
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_comes_up_again_and_again_on_its_data_and_leaves_no_server() {
    let folder = Folder::new();
    tillgate_rustls();
    let http = client_without_memory();
    for (run, end) in ["interrupt", "kill", "terminate"].into_iter().enumerate() {
        let dev = with_postgres(&["dev", "--port", "0", "--sandbox-port", "0", "--data", "data"], &folder).start();
        let word = |label: &'static str| {
            move |output: &crate::program::Output| {
                let text = output.out();
                text.lines()
                    .find_map(|line| line.trim().strip_prefix(label))
                    .and_then(|rest| rest.split_whitespace().next())
                    .map(str::to_owned)
            }
        };
        let (api, key) = (dev.says("its API", word("API  ")).await, dev.says("its key", word("API key")).await);
        assert!(is_key(&key), "{key}");
        let trade_id = format!("dev-{run}");
        let created = call(&http, &api, &key, "POST", "/v1/payouts", Some(&payout_wish(&trade_id))).await.expect("an answer");
        assert_eq!(created.status, 201, "{created:?}");
        let listed = call(&http, &api, &key, "GET", "/v1/payouts", None).await.expect("an answer");
        assert_eq!(listed.body["data"].as_array().map(Vec::len), Some(run + 1), "the data stays");
        if end == "kill" {
            dev.kill().await;
        } else {
            if end == "interrupt" {
                dev.interrupt();
            } else {
                dev.terminate();
            }
            succeeds(&dev.end().await);
            assert!(left(&folder).is_empty(), "{:?}", left(&folder));
        }
        let pid_file = folder.path().join("data/postgres/postmaster.pid");
        until("no server is left", async || (!pid_file.exists()).then_some(())).await;
        assert!(http.get(format!("{api}/docs/")).send().await.is_err(), "nobody listens");
    }
    // Whatever a killed run has left was removed by the next one.
    assert!(left(&folder).is_empty(), "{:?}", left(&folder));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_does_its_part_and_no_other() {
    let house = House::open().await;
    let worker = house.serve("worker").await;
    assert!(log_line(&worker.program.output.err(), "the gateway is up").is_some_and(|line| line.get("api").is_none()));
    assert!(house.try_call("GET", "/v1/payouts", None).await.is_err(), "a worker has no API");
    let api = house.serve("api").await;
    house.payout("p-1").await;
    house.comes_to("p-1", &["succeeded"]).await;
    worker.program.terminate();
    succeeds(&worker.program.end().await);
    house.payout("p-2").await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!((house.sandbox.calls_for("pay_user", "p-2"), house.place("p-2").await.as_deref()), (0, Some("queued")));
    api.program.terminate();
    succeeds(&api.program.end().await);
    house.close().await;
}
