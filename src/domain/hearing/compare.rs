//! Where a report and the order disagree.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::record_of;
use crate::domain::finding::{Finding, FindingKind};
use crate::domain::order::{Destination, Order};
use crate::domain::report::{ProviderRecord, Report};

/// Where a record does not agree with the order: what was not said is not compared.
pub(in crate::domain) fn mismatch(order: &Order, record: &ProviderRecord) -> Option<Finding> {
    let address = match &order.destination {
        Some(Destination::Address { address, .. }) => Some(address.as_str()),
        _ => None,
    };
    // Addresses in hexadecimal are written with letters of either size.
    let same = |ours: &&str| record.address.as_ref().is_some_and(|theirs| ours.starts_with("0x") && theirs.eq_ignore_ascii_case(ours));
    let claimed = address.filter(same).or(record.address.as_deref());

    let mut found = Differences::default();
    found.compare("amount", FindingKind::Amount, Some(&order.amount), record.amount.as_ref());
    found.compare("coin", FindingKind::Coin, Some(order.provider_coin_id.as_str()), record.coin.as_deref());
    found.compare("user", FindingKind::Recipient, order.provider_user.as_deref(), record.user.as_deref());
    found.compare("source", FindingKind::Recipient, order.source_user.as_deref(), record.source.as_deref());
    found.compare("address", FindingKind::Recipient, address, claimed);
    found.compare("direction", FindingKind::Contradiction, Some(&order.direction()), record.direction.as_ref());
    found.compare("trade_id", FindingKind::Contradiction, Some(order.trade_id.as_str()), record.trade_id.as_deref());
    if !order.may_have_twins() {
        found.compare("reference", FindingKind::Duplicate, order.provider_reference.as_deref(), record.reference.as_deref());
    }
    found.finding()
}

/// What two sides say differently, by its name. The kind is that of the first difference.
#[derive(Default)]
struct Differences {
    ours: Map<String, Value>,
    theirs: Map<String, Value>,
    kind: Option<FindingKind>,
}

impl Differences {
    fn compare<T: PartialEq + Serialize + ?Sized>(&mut self, name: &str, kind: FindingKind, ours: Option<&T>, theirs: Option<&T>) {
        if let (Some(ours), Some(theirs)) = (ours, theirs)
            && ours != theirs
        {
            self.ours.insert(name.to_owned(), json!(ours));
            self.theirs.insert(name.to_owned(), json!(theirs));
            self.kind.get_or_insert(kind);
        }
    }

    fn finding(self) -> Option<Finding> {
        self.kind.map(|kind| Finding { kind, ours: Value::Object(self.ours), theirs: Value::Object(self.theirs) })
    }
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
