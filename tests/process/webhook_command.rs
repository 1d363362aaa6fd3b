//! `tillgate webhook verify`, as a merchant's developer types it.

use std::process::Stdio;

use tillgate::webhooks::{Secret, sign};
use tokio::io::AsyncWriteExt;

use crate::program::{Ended, Folder, Launch};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY: &str = r#"{"type":"deposit.succeeded","data":{"amount":"1.50"}}"#;

/// The headers of a request that was sent just then.
fn headers() -> String {
    let signature = sign(&[Secret::parse(SECRET).expect("a secret")], "evt_1", 1_800_000_000, BODY.as_bytes());
    format!("Content-Type: application/json\r\nWebhook-Id: evt_1\r\nWebhook-Timestamp: 1800000000\r\nWebhook-Signature: {signature}\r\n")
}

/// Verifies what is in the folder, five seconds after it was sent. Nothing is configured.
async fn verify(folder: &Folder, args: &[&str]) -> Ended {
    let args = [&["webhook", "verify", "--at", "1800000005"], args].concat();
    let ended = Launch::new(&args, folder.path()).with([("HOOK_SECRET", SECRET)]).run().await;
    assert!(!ended.err.contains("panicked") && !format!("{}{}", ended.out, ended.err).contains("MfKQ9r8G"), "{ended:?}");
    ended
}

#[tokio::test]
async fn a_genuine_request_is_accepted_in_every_way_of_giving_it() {
    let folder = Folder::new();
    folder.write("headers.txt", &headers());
    folder.write("body.json", BODY);
    folder.write("request.http", &format!("POST /hook HTTP/1.1\r\n{}\r\n{BODY}", headers()));
    for args in [
        &["--secret-env", "HOOK_SECRET", "--headers", "headers.txt", "--body", "body.json"][..],
        &["--secret", SECRET, "--headers", "headers.txt", "--body", "body.json"],
        &["--secret-env", "HOOK_SECRET", "--request", "request.http"],
    ] {
        let ended = verify(&folder, args).await;
        assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
        assert!(ended.out.contains("genuine"), "{ended:?}");
    }
}

#[tokio::test]
async fn a_body_can_come_from_standard_input() {
    let folder = Folder::new();
    folder.write("headers.txt", &headers());
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_tillgate"));
    command.args(["webhook", "verify", "--at", "1800000005", "--secret-env", "HOOK_SECRET", "--headers", "headers.txt", "--body", "-"]);
    command.env("HOOK_SECRET", SECRET).current_dir(folder.path()).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().expect("the binary starts");
    child.stdin.take().expect("a pipe").write_all(BODY.as_bytes()).await.expect("it reads");
    assert_eq!(child.wait().await.expect("an end").code(), Some(0));
}

#[tokio::test]
async fn what_is_wrong_is_said_and_ends_with_one() {
    let folder = Folder::new();
    folder.write("headers.txt", &headers());
    folder.write("echoed.json", &format!("{BODY}\n"));
    folder.write("pretty.json", "{\n  \"type\": \"deposit.succeeded\",\n  \"data\": {\"amount\": \"1.50\"}\n}");
    folder.write("none.txt", "Content-Type: application/json\n");
    let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for (args, said) in [
        (&["--secret-env", "HOOK_SECRET", "--headers", "headers.txt", "--body", "echoed.json"][..], "without the newline"),
        (&["--secret-env", "HOOK_SECRET", "--headers", "headers.txt", "--body", "pretty.json"], "verify the raw body"),
        (&["--secret-env", "HOOK_SECRET", "--headers", "none.txt", "--body", "echoed.json"], "webhook-signature is missing"),
        (&["--secret", other, "--headers", "headers.txt", "--body", "echoed.json"], "none of the secrets"),
        (&["--secret-env", "HOOK_SECRET", "--headers", "headers.txt", "--body", "echoed.json", "--tolerance", "1s"], "5s ago"),
    ] {
        let ended = verify(&folder, args).await;
        assert_eq!(ended.code, Some(1), "{args:?}: {ended:?}");
        assert!(ended.out.contains("not valid") && ended.out.contains(said), "{args:?}: {ended:?}");
    }
}

#[tokio::test]
async fn a_wrong_call_ends_with_two_and_says_what_is_missing() {
    let folder = Folder::new();
    folder.write("headers.txt", &headers());
    folder.write("body.json", BODY);
    folder.write("cut.http", "POST / HTTP/1.1\r\nWebhook-Id: a\r\n");
    let secret = ["--secret-env", "HOOK_SECRET"];
    let files = ["--headers", "headers.txt", "--body", "body.json"];
    for (args, said) in [
        (vec![], "--secret"),
        (secret.to_vec(), "--request"),
        (files.to_vec(), "--secret"),
        ([&secret[..], &["--headers", "headers.txt"]].concat(), "--body"),
        ([&secret[..], &files, &["--request", "cut.http"]].concat(), "--request"),
        ([&secret[..], &["--request", "cut.http"]].concat(), "empty line"),
        ([&secret[..], &["--request", "nowhere.http"]].concat(), "nowhere.http"),
        ([&secret[..], &["--headers", "body.json", "--body", "body.json"]].concat(), "Name: value"),
        ([&secret[..], &["--headers", "-", "--body", "-"]].concat(), "standard input"),
        ([&["--secret-env", "NOT_SET"], &files[..]].concat(), "NOT_SET"),
        ([&["--secret", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"], &files[..]].concat(), "whsec_"),
        ([&["--secret", "whsec_short"], &files[..]].concat(), "copy"),
    ] {
        let ended = verify(&folder, &args).await;
        assert_eq!(ended.code, Some(2), "{args:?}: {ended:?}");
        assert!(ended.err.contains(said), "{args:?}: {ended:?}");
    }
}
