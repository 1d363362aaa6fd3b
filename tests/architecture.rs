//! The house rules that a compiler does not hold: who may import whom, and what lives in one room only.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The arrows of the picture in `docs/ARCHITECTURE.md`: a room, and the rooms that it may name.
const ARROWS: [(&str, &[&str]); 14] = [
    ("domain", &[]),
    ("config", &[]),
    ("telemetry", &["config"]),
    ("vault", &[]),
    ("faults", &[]),
    ("store", &["domain", "vault"]),
    ("providers", &["domain", "config", "faults"]),
    ("webhooks", &["domain", "config"]),
    ("flows", &["domain", "store", "providers", "webhooks", "config", "vault", "faults"]),
    ("http", &["flows", "domain", "config", "faults"]),
    ("workers", &["flows", "domain", "config"]),
    ("sandbox", &[]),
    // Composition may name everything.
    ("app", &["config", "domain", "flows", "http", "providers", "store", "vault", "webhooks", "workers"]),
    ("cli", &["app", "config", "domain", "flows", "http", "sandbox", "store", "telemetry", "vault", "webhooks"]),
];

/// A file of the program: its room, its path and its lines without comments and tests.
struct Source {
    room: String,
    path: PathBuf,
    code: String,
}

/// The program, without its tests.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let test_files = ["tests.rs", "_tests.rs", "laws.rs", "test_server.rs"];
    files
        .into_iter()
        .filter(|path| !test_files.iter().any(|end| path.to_string_lossy().ends_with(end)))
        .map(|path| {
            let inside = path.strip_prefix(&root).expect("it is below src").to_path_buf();
            let first = inside.components().next().expect("it has a name").as_os_str().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).expect("it can be read");
            Source { room: first.trim_end_matches(".rs").to_owned(), path: inside, code: code(&text) }
        })
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
}

/// What is compiled into the program: no comments, and no tests, which stand last where they stand inside.
fn code(text: &str) -> String {
    let until = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text[..until].lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The rooms that a file names by `crate::room`.
fn named(code: &str) -> BTreeSet<String> {
    code.match_indices("crate::")
        .filter(|(at, _)| !code[..*at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == '$'))
        .map(|(at, word)| code[at + word.len()..].chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect())
        .filter(|room: &String| !room.is_empty())
        .collect()
}

fn offenders(sources: &[Source], allowed: impl Fn(&Source) -> bool, forbidden: &[&str]) -> Vec<String> {
    sources
        .iter()
        .filter(|source| !allowed(source))
        .flat_map(|source| {
            forbidden.iter().filter(|word| source.code.contains(**word)).map(|word| format!("{}: {word}", source.path.display()))
        })
        .collect()
}

#[test]
fn rooms_name_only_the_rooms_that_the_picture_allows() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !["main", "lib"].contains(&source.room.as_str())) {
        let (_, allowed) =
            ARROWS.iter().find(|(room, _)| *room == source.room).unwrap_or_else(|| panic!("the room {} has no arrows", source.room));
        for room in named(&source.code) {
            if room != source.room && !allowed.contains(&room.as_str()) {
                wrong.push(format!("{} names {room}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that the picture does not have: {wrong:#?}");
}

#[test]
fn no_arrows_run_in_a_circle() {
    for (room, names) in ARROWS {
        for other in names {
            let (_, back) = ARROWS.iter().find(|(name, _)| name == other).expect("every room is in the table");
            assert!(!back.contains(&room), "{room} and {other} name each other");
        }
    }
}

#[test]
fn sql_is_spoken_in_the_store_alone() {
    let allowed = |source: &Source| source.room == "store" || source.path.ends_with("app/private_postgres/tests.rs");
    assert_eq!(offenders(&sources(), allowed, &["sqlx::", "PgConnection", "SELECT "]), Vec::<String>::new());
}

#[test]
fn only_providers_and_webhooks_call_out() {
    // The sandbox sends the wallets' callbacks, the demo plays a merchant's backend and its customers' browsers, and `listen` is
    // such a backend: it reads the feed.
    let rooms = ["providers", "webhooks", "sandbox"];
    let files = ["cli/demo/mod.rs", "cli/listen/feed.rs"];
    let allowed = |source: &Source| rooms.contains(&source.room.as_str()) || files.iter().any(|file| source.path.ends_with(file));
    assert_eq!(offenders(&sources(), allowed, &["reqwest"]), Vec::<String>::new());
}

#[test]
fn no_number_is_a_float() {
    // A deserializer has to have methods for them; this one hands them on and takes none.
    let allowed = |source: &Source| source.path.ends_with("http/shape.rs");
    assert_eq!(offenders(&sources(), allowed, &["f32", "f64", "as_f64", "to_f64"]), Vec::<String>::new());
}

#[test]
fn the_wall_clock_is_read_in_one_place() {
    let allowed = |source: &Source| source.path.ends_with("domain/clock.rs") || source.path.ends_with("sandbox/clock.rs");
    assert_eq!(
        offenders(&sources(), allowed, &["now_utc", "SystemTime::now", "Instant::now", "Utc::now", "Uuid::now_v7", "Uuid::new_v4"]),
        Vec::<String>::new()
    );
}

#[test]
fn only_settle_writes_a_status() {
    let writes = |source: &Source| source.path.ends_with("store/record/statement.rs");
    assert_eq!(offenders(&sources(), writes, &["UPDATE orders"]), Vec::<String>::new());
    let calls = |source: &Source| source.path.ends_with("flows/settle.rs");
    assert_eq!(offenders(&sources(), calls, &["store::record"]), Vec::<String>::new());
}

#[test]
fn every_statement_about_a_tenant_names_the_merchant() {
    // Finding the tenant, listing tenants, and the workers' search for what is due come before a tenant is known. Months of events
    // are of all tenants, and so are gauges.
    let before = [
        "FROM merchants",
        "FROM api_keys",
        "WHERE work = $1",
        "WHERE work = 'poll' AND due_at <= $1",
        "status = 'active' AND refresh_at",
        "_sqlx_migrations",
        "INTO merchants",
        "NOTIFY",
        "GROUP BY state",
        "FROM discrepancies WHERE resolved_at IS NULL GROUP BY",
        "FROM reconciliations\n         WHERE state = 'running'",
        "FROM pg_inherits",
        "FROM pg_trigger",
        "FROM events_default",
        "SELECT last_xid",
        "WHERE month >= month_of_id",
    ];
    let queries = Path::new(env!("CARGO_MANIFEST_DIR")).join(".sqlx");
    let mut seen = 0;
    for entry in fs::read_dir(queries).expect("the offline query data").flatten() {
        let query: serde_json::Value = serde_json::from_str(&fs::read_to_string(entry.path()).expect("a file")).expect("JSON");
        let text = query["query"].as_str().expect("a query");
        seen += 1;
        let fine = text.contains("merchant_id = $")
            || text.contains("(merchant_id,")
            // A page names it in each of its rows.
            || text.contains("merchant_id = i.merchant_id")
            || before.iter().any(|known| text.contains(known))
            || !text.contains("FROM ");
        assert!(fine, "a statement that does not name the merchant: {text}");
    }
    assert!(seen > 20, "the offline query data is there");
}

#[test]
fn secrets_have_no_debug_output() {
    let bare = ["client_secret: String", "wallet_pwd: String", "app_secret: String", "access_token: String", "refresh_token: String"];
    let simulated = |source: &Source| source.room == "sandbox";
    assert_eq!(offenders(&sources(), simulated, &bare), Vec::<String>::new());
}
