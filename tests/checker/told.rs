//! What a merchant's endpoint received, compared with the feed of events.

use std::collections::{BTreeMap, BTreeSet};

use super::Breach;

/// An event that came to the endpoint, in the order in which it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub event_id: String,
    /// The order that it is about. Absent where it is about none.
    pub trade_id: Option<String>,
    /// The step's number within the order.
    pub sequence: i64,
    /// It was answered by 2xx.
    pub taken: bool,
    /// Its signature is valid.
    pub signed: bool,
}

/// An event of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fed {
    pub event_id: String,
    pub trade_id: Option<String>,
    pub sequence: i64,
}

/// Compares what came to an endpoint with what the feed has. `living`: the endpoint takes what comes, and there was time enough,
/// so that everything must have been taken.
pub fn judge(received: &[Told], feed: &[Fed], living: bool) -> Vec<Breach> {
    let known: BTreeMap<&str, &Fed> = feed.iter().map(|fed| (fed.event_id.as_str(), fed)).collect();
    let mut breaches = steps_in_order(feed);
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for told in received {
        let about = told.trade_id.as_deref().unwrap_or(&told.event_id);
        if !told.signed {
            breaches.push(Breach::new("I12", "told_with_a_signature", about, format!("{} is not signed by us", told.event_id)));
        }
        match known.get(told.event_id.as_str()) {
            None => breaches.push(Breach::new("I12", "told_what_is_in_the_feed", about, format!("{} is not in the feed", told.event_id))),
            Some(fed) if (&fed.trade_id, fed.sequence) != (&told.trade_id, told.sequence) => {
                breaches.push(Breach::new("I12", "told_as_in_the_feed", about, format!("{} says something else there", told.event_id)));
            }
            Some(_) => {}
        }
        // What was taken before may come again at any time: its answer was lost.
        if let Some(trade_id) = told.trade_id.as_deref().filter(|_| !taken.contains(told.event_id.as_str())) {
            let before = last.get(trade_id).copied().unwrap_or(0);
            if told.sequence != before + 1 {
                let found = format!("step {} came when step {before} was the last that was taken", told.sequence);
                breaches.push(Breach::new("I12", "told_in_order", trade_id, found));
            }
            if told.taken {
                last.insert(trade_id, told.sequence);
            }
        }
        if told.taken {
            taken.insert(told.event_id.as_str());
        }
    }
    for fed in feed.iter().filter(|fed| living && !taken.contains(fed.event_id.as_str())) {
        let about = fed.trade_id.as_deref().unwrap_or(&fed.event_id);
        breaches.push(Breach::new("I12", "told_everything", about, format!("{} never came", fed.event_id)));
    }
    breaches
}

/// The feed itself: nothing twice, and an order's steps in their order without a gap.
fn steps_in_order(feed: &[Fed]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut seen = BTreeSet::new();
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    for fed in feed {
        let about = fed.trade_id.as_deref().unwrap_or(&fed.event_id);
        if !seen.insert(fed.event_id.as_str()) {
            breaches.push(Breach::new("I12", "fed_once", about, format!("{} is in the feed twice", fed.event_id)));
            continue;
        }
        if let Some(trade_id) = fed.trade_id.as_deref() {
            let before = last.insert(trade_id, fed.sequence).unwrap_or(0);
            if fed.sequence != before + 1 {
                breaches.push(Breach::new("I12", "fed_in_order", trade_id, format!("step {} follows step {before}", fed.sequence)));
            }
        }
    }
    breaches
}
