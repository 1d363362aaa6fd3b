//! What a client did and was told, call by call: invoked, and then acknowledged, refused, failed or never answered.
//!
//! Everything that was acknowledged must be there afterwards, and one trade id is one order, whoever asked and however often.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::Breach;

/// How a call that creates an order ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// 200 or 201, with the order.
    Acknowledged(Value),
    /// 4xx, with the problem's code.
    Refused(u16, String),
    /// 5xx.
    Failed(u16),
    /// No answer came: it may have been carried out.
    Unknown,
}

/// One call that creates an order.
#[derive(Clone, Debug)]
pub struct Call {
    /// What was sent.
    pub body: Value,
    /// When, since the beginning of the run, and until when it lasted.
    pub invoked: Duration,
    pub ended: Duration,
    pub outcome: Outcome,
}

/// All calls of a run.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub calls: Vec<Call>,
    /// From when to when something was broken on purpose that explains a 5xx: the database, the process.
    pub broken: Vec<(Duration, Duration)>,
}

/// What of a request stands in the order's answer as it was given.
const CONTENT: [&str; 5] = ["trade_id", "provider", "coin", "amount", "customer"];

impl History {
    /// Notes a call.
    pub fn note(&mut self, body: &Value, invoked: Duration, ended: Duration, outcome: Outcome) {
        self.calls.push(Call { body: body.clone(), invoked, ended, outcome });
    }

    /// The trade ids that were acknowledged: read each of them back, and hand the answers to [`judge`].
    pub fn acknowledged(&self) -> BTreeSet<&str> {
        let told = self.calls.iter().filter(|call| matches!(call.outcome, Outcome::Acknowledged(_)));
        told.filter_map(|call| call.body["trade_id"].as_str()).collect()
    }
}

/// Compares what was told with what is there now: the orders by trade id, as the API shows them.
pub fn judge(history: &History, now: &BTreeMap<String, Value>) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut by_trade_id: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
    for call in &history.calls {
        by_trade_id.entry(call.body["trade_id"].as_str().unwrap_or_default()).or_default().push(call);
        if let Outcome::Failed(status) = call.outcome
            && !history.broken.iter().any(|(from, to)| call.invoked <= *to && *from <= call.ended)
        {
            let found = format!("{status} at {:?}, and nothing was broken then", call.invoked);
            breaches.push(Breach::new("I5", "no_5xx_without_a_fault", call.body["trade_id"].as_str().unwrap_or_default(), found));
        }
    }
    for (trade_id, calls) in by_trade_id {
        breaches.extend(one_order(trade_id, &calls));
        let told = calls.iter().find_map(|call| match &call.outcome {
            Outcome::Acknowledged(order) => Some((&call.body, order)),
            _ => None,
        });
        breaches.extend(told.and_then(|(body, told)| still_there(trade_id, body, told, now.get(trade_id))));
    }
    breaches
}

/// I5: one trade id is one order, of one content, and whoever asks for it again is told of that one.
fn one_order(trade_id: &str, calls: &[&Call]) -> Option<Breach> {
    let mut ids = BTreeSet::new();
    let mut taken: Vec<&Value> = Vec::new();
    for call in calls {
        if let Outcome::Acknowledged(order) = &call.outcome {
            ids.insert(order["id"].as_str().unwrap_or_default());
            if !taken.contains(&&call.body) {
                taken.push(&call.body);
            }
        }
    }
    if ids.len() > 1 {
        return Some(Breach::new("I5", "one_trade_id_is_one_order", trade_id, format!("the orders {ids:?} were acknowledged")));
    }
    if taken.len() > 1 {
        return Some(Breach::new("I5", "one_trade_id_is_one_content", trade_id, "two contents were acknowledged"));
    }
    let refused = calls
        .iter()
        .find(|call| taken.contains(&&call.body) && matches!(&call.outcome, Outcome::Refused(409, code) if code == "trade_id_conflict"));
    refused
        .map(|_| Breach::new("I5", "same_content_is_no_conflict", trade_id, "the same content was taken once, and refused once as another"))
}

/// I3: what was acknowledged is there, as it was asked for, under the id that was told.
fn still_there(trade_id: &str, body: &Value, told: &Value, now: Option<&Value>) -> Option<Breach> {
    let Some(now) = now else {
        return Some(Breach::new("I3", "acknowledged_is_there", trade_id, "it was acknowledged, and is not there"));
    };
    if now["id"] != told["id"] {
        return Some(Breach::new(
            "I3",
            "acknowledged_is_there",
            trade_id,
            format!("{} was acknowledged, {} is there", told["id"], now["id"]),
        ));
    }
    let other = CONTENT.into_iter().find(|key| !body[*key].is_null() && body[*key] != now[*key]);
    other.map(|key| Breach::new("I10", "there_as_asked", trade_id, format!("{key} was {}, and is {}", body[key], now[key])))
}
