use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::domain::clock::Clock;

use sqlx::{Connection, PgConnection};

use super::binaries::Search;
use super::folder::{self, Folder};
use super::process::{User, is_alive};
use super::*;

async fn connect(server: &PrivatePostgres) -> PgConnection {
    PgConnection::connect(&server.url("postgres")).await.expect("the server answers")
}

async fn number(connection: &mut PgConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(connection).await.expect("the query runs")
}

/// A folder for kept data that any account can enter, removed at the end.
struct Place(Folder);

impl Place {
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder::new().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
        Self(folder)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("data")
    }
}

/// Waits for what happens in another process; fails after ten seconds.
fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Clock::system().instant() + Duration::from_secs(10);
    while !happened() {
        assert!(Clock::system().instant() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[tokio::test]
async fn a_server_starts_and_answers() {
    let server = PrivatePostgres::start(&Options::temporary()).expect("starts");
    let mut connection = connect(&server).await;
    assert_eq!(number(&mut connection, "SELECT 40 + 2::bigint").await, 42);
    let fsync: String = sqlx::query_scalar("SHOW fsync").fetch_one(&mut connection).await.expect("a setting");
    let listen: String = sqlx::query_scalar("SHOW listen_addresses").fetch_one(&mut connection).await.expect("a setting");
    assert_eq!((fsync.as_str(), listen.as_str()), ("off", ""));
}

#[tokio::test]
async fn two_servers_stand_side_by_side_and_do_not_meet() {
    let first = PrivatePostgres::start(&Options::temporary()).expect("starts");
    let second = PrivatePostgres::start(&Options::temporary()).expect("starts");
    sqlx::query("CREATE TABLE orders (id bigint)").execute(&mut connect(&first).await).await.expect("a table");
    let tables = "SELECT count(*) FROM pg_tables WHERE tablename = 'orders'";
    assert_eq!(number(&mut connect(&first).await, tables).await, 1);
    assert_eq!(number(&mut connect(&second).await, tables).await, 0);
}

#[tokio::test]
async fn kept_data_survives_a_restart() {
    let place = Place::new();
    let mut server = PrivatePostgres::start(&Options::kept(place.path())).expect("starts");
    let mut connection = connect(&server).await;
    sqlx::query("CREATE DATABASE \"shop & co\"").execute(&mut connection).await.expect("a database");
    let mut shop = PgConnection::connect(&server.url("shop & co")).await.expect("a name that needs encoding");
    sqlx::query("CREATE TABLE orders AS SELECT 7::bigint AS id").execute(&mut shop).await.expect("a table");
    server.stop().expect("stops although connections are open");

    let server = PrivatePostgres::start(&Options::kept(place.path())).expect("starts again");
    let mut shop = PgConnection::connect(&server.url("shop & co")).await.expect("connects");
    assert_eq!(number(&mut shop, "SELECT id FROM orders").await, 7);
    let fsync: String = sqlx::query_scalar("SHOW fsync").fetch_one(&mut shop).await.expect("a setting");
    assert_eq!(fsync, "on");
}

#[test]
fn stopping_leaves_nothing_behind() {
    let mut server = PrivatePostgres::start(&Options::temporary()).expect("starts");
    let pid = server.server.as_ref().expect("it runs").id();
    assert!(server.socket_folder.exists() && is_alive(pid));
    server.stop().expect("stops");
    assert!(!server.socket_folder.exists() && !is_alive(pid));
    server.stop().expect("the second time is harmless");
}

#[test]
fn dropping_is_stopping() {
    let server = PrivatePostgres::start(&Options::temporary()).expect("starts");
    let (folder, pid) = (server.socket_folder.clone(), server.server.as_ref().expect("it runs").id());
    drop(server);
    assert!(!folder.exists() && !is_alive(pid));
}

#[test]
fn a_server_outlives_the_thread_that_started_it() {
    let server = std::thread::spawn(|| PrivatePostgres::start(&Options::temporary()).expect("starts")).join().expect("no panic");
    let pid = server.server.as_ref().expect("it runs").id();
    // A parent-death signal would arrive at the end of that thread, and a fast shutdown takes about 10 ms.
    std::thread::sleep(Duration::from_millis(200));
    let state = fs::read_to_string(server.socket_folder.join("data/postmaster.pid")).expect("the server still runs");
    assert!(state.starts_with(&pid.to_string()) && state.contains("ready"));
}

/// Runs itself once more as another process (told by the variable), whose only work is to hold a server until it is killed.
#[cfg(target_os = "linux")]
#[test]
fn a_killed_process_takes_its_server_along_and_the_next_start_cleans_up() {
    const HOLD: &str = "TILLGATE_TEST_HOLD_A_SERVER";
    if std::env::var_os(HOLD).is_some() {
        let server = std::thread::spawn(|| PrivatePostgres::start(&Options::temporary()).expect("starts")).join().expect("runs");
        let pid = server.server.as_ref().expect("it runs").id();
        println!("\nHOLDS {pid} {}", server.socket_folder.display());
        std::thread::sleep(Duration::from_mins(1));
        return;
    }
    let (_, module) = module_path!().split_once("::").expect("the crate's name comes first");
    let this = format!("{module}::a_killed_process_takes_its_server_along_and_the_next_start_cleans_up");
    let mut holder = Command::new(std::env::current_exe().expect("our program"))
        .args(["--exact", &this, "--nocapture"])
        .env(HOLD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let lines = BufReader::new(holder.stdout.take().expect("a pipe")).lines();
    let line = lines.map_while(Result::ok).find(|line| line.starts_with("HOLDS ")).expect("it holds a server");
    let [_, pid, folder] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("three words: {line}") };
    let pid = pid.parse().expect("a pid");
    assert!(is_alive(pid) && Path::new(folder).exists());

    holder.kill().expect("kill -9");
    holder.wait().expect("it is gone");
    eventually("the server's end", || !is_alive(pid));
    // Nobody was there to remove the folder. The next start does; here that may have been another test's.
    drop(Folder::new().expect("a start"));
    assert!(!Path::new(folder).exists(), "the next start removes it");
}

#[test]
fn the_folder_of_a_live_process_is_never_stale() {
    let folder = Folder::new().expect("a folder");
    let parent = folder.path().parent().expect("the temporary folder");
    folder::remove_stale(parent, folder.owner());
    assert!(folder.path().exists());
}

#[test]
fn data_that_is_in_use_is_refused_with_the_servers_words() {
    let place = Place::new();
    let _first = PrivatePostgres::start(&Options::kept(place.path())).expect("starts");
    let refused = PrivatePostgres::start(&Options::kept(place.path())).expect_err("one server at a time");
    assert!(refused.to_string().contains("another postmaster"), "{refused}");
}

#[test]
fn missing_binaries_are_said_clearly() {
    let nowhere = Search { here: PathBuf::from("/"), path: "/nowhere/bin".into(), ..Search::default() };
    let error = nowhere.find().expect_err("nothing is there");
    assert_eq!(
        error.to_string(),
        "no Postgres server was found (looked for `initdb` and `postgres` in /nowhere/bin); \
         run `make setup`, or set TILLGATE_PG_BIN to the folder that has them"
    );
}

#[test]
fn the_highest_installed_version_with_a_server_is_taken() {
    let place = Place::new();
    let versions = place.path();
    for (version, programs) in [("9", vec!["initdb", "postgres"]), ("15", vec!["initdb", "postgres"]), ("18", vec!["psql"])] {
        let bin = versions.join(version).join("bin");
        fs::create_dir_all(&bin).expect("a folder");
        for program in programs {
            fs::write(bin.join(program), "").expect("a file");
        }
    }
    let search = Search { versions: versions.clone(), ..Search::default() };
    assert_eq!(search.find().expect("found"), versions.join("15/bin"));
    let chosen = Search { chosen: Some(PathBuf::from("/chosen")), versions, ..Search::default() };
    assert!(chosen.find().is_err(), "what was chosen is not silently replaced");
}

#[test]
fn accounts_are_read_from_the_passwd_file() {
    let passwd = "root:x:0:0:root:/root:/bin/sh\npostgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\nbroken:x\n";
    assert_eq!(User::named("postgres", passwd), Some(User { uid: 101, gid: 104 }));
    assert_eq!(User::named("post", passwd), None);
    assert_eq!(User::named("broken", passwd), None);
}

#[test]
fn addresses_are_encoded() {
    assert_eq!(percent_encode(b"/tmp/tg-1-0"), "/tmp/tg-1-0");
    assert_eq!(percent_encode("a b&c=\u{e9}".as_bytes()), "a%20b%26c%3D%C3%A9");
}

#[test]
fn a_folder_that_the_servers_account_cannot_enter_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let user = User { uid: 64_999, gid: 64_999 };
    assert!(user.must_enter(&place.path()).is_ok());
    fs::set_permissions(place.0.path(), fs::Permissions::from_mode(0o700)).expect("permissions");
    let refused = user.must_enter(&place.path()).expect_err("nobody else may enter");
    assert!(refused.to_string().contains(&*place.0.path().to_string_lossy()), "{refused}");
}
