//! Where a report and the order disagree.

use serde_json::{Map, Value, json};

use super::record_of;
use crate::domain::finding::{Finding, FindingKind};
use crate::domain::order::{Destination, Order};
use crate::domain::report::{ProviderRecord, Report};

/// Where a record does not agree with the order: what was not said is not compared.
pub(in crate::domain) fn mismatch(order: &Order, record: &ProviderRecord) -> Option<Finding> {
    let mut ours = Map::new();
    let mut theirs = Map::new();
    let mut kind = None;
    let mut compare = |name: &str, finding, our: Option<Value>, their: Option<Value>| {
        if let (Some(our), Some(their)) = (our, their)
            && our != their
        {
            ours.insert(name.to_owned(), our);
            theirs.insert(name.to_owned(), their);
            kind.get_or_insert(finding);
        }
    };
    let text = |value: &Option<String>| value.as_ref().map(|value| json!(value));
    compare("amount", FindingKind::Amount, Some(json!(order.amount)), record.amount.map(|amount| json!(amount)));
    compare("coin", FindingKind::Coin, Some(json!(order.provider_coin_id)), text(&record.coin));
    compare("user", FindingKind::Recipient, text(&order.provider_user), text(&record.user));
    compare("source", FindingKind::Recipient, text(&order.source_user), text(&record.source));
    let address = match &order.destination {
        Some(Destination::Address { address, .. }) => Some(address),
        _ => None,
    };
    // Addresses in hexadecimal are written with letters of either size.
    let same = |ours: &&String| record.address.as_ref().is_some_and(|theirs| ours.starts_with("0x") && theirs.eq_ignore_ascii_case(ours));
    let claimed = address.filter(same).or(record.address.as_ref());
    compare("address", FindingKind::Recipient, address.map(|text| json!(text)), claimed.map(|text| json!(text)));
    compare("direction", FindingKind::Contradiction, Some(json!(order.direction())), record.direction.map(|direction| json!(direction)));
    compare("trade_id", FindingKind::Contradiction, Some(json!(order.trade_id)), text(&record.trade_id));
    if !order.may_have_twins() {
        compare("reference", FindingKind::Duplicate, text(&order.provider_reference), text(&record.reference));
    }
    kind.map(|kind| Finding { kind, ours: Value::Object(ours), theirs: Value::Object(theirs) })
}

pub(super) fn contradiction(order: &Order, report: &Report) -> Finding {
    let theirs = record_of(report).map_or_else(|| json!({ "says": report.reason() }), |record| json!(record));
    Finding { kind: FindingKind::Contradiction, ours: json!({ "status": order.state.status() }), theirs }
}

pub(super) fn disproven(order: &Order) -> Finding {
    Finding {
        kind: FindingKind::ForgedCallback,
        ours: json!({ "status": order.state.status(), "provider_says": "not paid" }),
        theirs: json!({ "claimed": order.claim }),
    }
}
