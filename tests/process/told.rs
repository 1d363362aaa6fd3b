//! What a merchant's endpoint was told: the same words for all tests that look at deliveries.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use standardwebhooks::Webhook;

use crate::database::{connect, execute};
use crate::hook::{Got, Hook};
use crate::house::House;
use crate::program::until;

/// A gateway that sends to receivers on this machine, and repeats what failed soon, for as long as a test needs.
pub const NEAR: [(&str, &str); 2] = [
    ("TILLGATE__WEBHOOKS__ALLOWED_NETWORKS", "127.0.0.0/8"),
    (
        "TILLGATE__TIMING__WEBHOOK_SCHEDULE",
        "100ms,200ms,200ms,200ms,200ms,200ms,200ms,200ms,200ms,200ms,200ms,200ms,200ms,200ms,200ms,200ms",
    ),
];

/// An endpoint of the merchant's.
#[derive(Debug)]
pub struct Endpoint {
    pub path: String,
    secret: String,
}

impl House {
    /// Tells the gateway of a receiver that wants everything.
    pub async fn endpoint(&self, hook: &Hook) -> Endpoint {
        self.endpoint_at(&hook.url).await
    }

    /// The same, with something between the two.
    pub async fn endpoint_at(&self, url: &str) -> Endpoint {
        let made = self.post("/v1/webhook_endpoints", &json!({ "url": url })).await;
        assert_eq!(made.status, 201, "{made:?}");
        self.keep_secret(made.text("secret"));
        self.keep_secret("token=canary");
        Endpoint { path: format!("/v1/webhook_endpoints/{}", made.text("id")), secret: made.text("secret").to_owned() }
    }

    /// A delivery that is taken is left alone by others for two seconds only, and its sender does not know: this is harder than
    /// life, where a lease is longer than a sending, and a dead sender's deliveries come back sooner.
    pub async fn short_leases(&self) {
        let trigger = "CREATE FUNCTION shorten() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF NEW.fence > OLD.fence THEN
                     NEW.leased_until := clock_timestamp() + interval '2 seconds';
                     NEW.due_at := NEW.leased_until;
                 END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER leases_are_short BEFORE UPDATE ON webhook_queue FOR EACH ROW EXECUTE FUNCTION shorten()";
        execute(&mut connect(&self.database).await, trigger).await;
    }

    /// Whoever writes a row in this way passes a turnstile: who locks the table `turnstile` keeps statements there that have come
    /// whole, and that are carried out whether their senders live or not.
    pub async fn turnstile(&self, writes: &str) {
        let trigger = format!(
            "CREATE TABLE turnstile ();
             CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 LOCK TABLE turnstile IN ACCESS SHARE MODE;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER who_writes_passes BEFORE {writes} FOR EACH ROW EXECUTE FUNCTION pass()"
        );
        execute(&mut connect(&self.database).await, &trigger).await;
    }

    /// Waits until nothing is left to be told; everything was delivered.
    pub async fn all_told(&self) {
        let states = "SELECT coalesce(string_agg(DISTINCT state, ' '), '') FROM webhook_deliveries";
        until("everything is told", async || {
            let states: String = sqlx::query_scalar(states).fetch_one(&mut *self.eyes.lock().await).await.expect("states");
            assert!(!states.contains("exhausted") && !states.contains("canceled"), "{states}");
            (states == "delivered").then_some(())
        })
        .await;
    }
}

/// Whether a request tells of a step of an order.
pub fn is_about_an_order(got: &Got) -> bool {
    serde_json::from_slice::<Value>(&got.body).is_ok_and(|body| body["sequence"].is_i64())
}

/// The order that a request is about, and the number of its step.
pub fn step(got: &Got) -> (String, i64) {
    let body: Value = serde_json::from_slice(&got.body).expect("JSON");
    (body["data"]["trade_id"].as_str().expect("an order").to_owned(), body["sequence"].as_i64().expect("a number"))
}

impl Endpoint {
    /// Each order's steps, in the order in which they came first. All requests are genuine, what has the same id is the same to
    /// the byte, and no step came before the receiver had taken the one before it.
    pub fn check(&self, all: &[Got]) -> BTreeMap<String, Vec<i64>> {
        let library = Webhook::new(&self.secret).expect("a secret");
        let mut bodies = BTreeMap::new();
        let (mut seen, mut taken): (BTreeMap<String, Vec<i64>>, BTreeMap<String, i64>) = Default::default();
        for one in all {
            library.verify(&one.body, &one.headers).expect("a genuine request");
            let first = bodies.entry(&one.id).or_insert(&one.body);
            assert!(*first == &one.body, "{} has two bodies", one.id);
            let (trade_id, number) = step(one);
            let steps = seen.entry(trade_id.clone()).or_default();
            let had = taken.entry(trade_id.clone()).or_default();
            if !steps.contains(&number) {
                assert_eq!(*had, number - 1, "step {number} of {trade_id} came before its turn");
                steps.push(number);
            }
            if one.answered == Some(200) {
                *had = number.max(*had);
            }
        }
        assert_eq!(bodies.len(), seen.values().map(Vec::len).sum::<usize>(), "a step has one id");
        seen
    }
}
