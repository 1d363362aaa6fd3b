//! Which events somebody wants to hear of: types, and wildcards over them.

use std::collections::BTreeSet;

use super::order::Kind;
use super::status::State;

/// Types of events that are about no step.
const OTHERS: [&str; 4] = ["receipt.unmatched", "link.expired", "discrepancy.opened", "discrepancy.resolved"];
/// More cannot be needed: there are fewer types.
const MOST: usize = 64;

/// Exact types, `deposit.*` and `*`; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted(Vec<String>);

/// Why a list of types cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WantedError {
    /// No event has this type.
    #[error("{0:?} is no type of event; give types such as deposit.succeeded, all of a kind as deposit.*, or * for all")]
    Unknown(String),
    /// There is nothing in it, or too much.
    #[error("must name 1 to 64 types of events; * stands for all")]
    Count,
}

impl Wanted {
    /// Everything.
    pub fn all() -> Self {
        Self(vec!["*".to_owned()])
    }

    /// Reads patterns. What is there twice is there once.
    ///
    /// # Errors
    /// See [`WantedError`].
    pub fn parse<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, WantedError> {
        let types = types();
        let mut known = BTreeSet::new();
        for pattern in patterns.into_iter().take(MOST + 1) {
            let fine = match pattern.strip_suffix(".*") {
                Some(kind) => types.iter().any(|one| one.split_once('.').is_some_and(|(first, _)| first == kind)),
                None => pattern == "*" || types.contains(pattern),
            };
            if !fine {
                // What does not fit on a screen does not help.
                return Err(WantedError::Unknown(pattern.chars().take(64).collect()));
            }
            known.insert(pattern.to_owned());
        }
        if (1..=MOST).contains(&known.len()) { Ok(Self(known.into_iter().collect())) } else { Err(WantedError::Count) }
    }

    /// The patterns, in their alphabetical order.
    pub fn patterns(&self) -> &[String] {
        &self.0
    }
}

/// Every type of event that merchants are told.
pub fn types() -> BTreeSet<String> {
    let of_kind = |kind: Kind| State::all(kind).into_iter().map(move |state| format!("{kind}.{}", state.status()));
    [Kind::Deposit, Kind::Payout, Kind::Transfer].into_iter().flat_map(of_kind).chain(OTHERS.map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_wildcards_are_read_and_anything_else_is_refused_by_name() {
        for good in [vec!["*"], vec!["deposit.*", "payout.queued"], vec!["deposit.created", "deposit.created"], vec!["discrepancy.*"]] {
            assert!(Wanted::parse(good.iter().copied()).is_ok(), "{good:?}");
        }
        assert_eq!(Wanted::parse(["payout.queued", "deposit.*", "payout.queued"]).unwrap().patterns(), ["deposit.*", "payout.queued"]);
        for bad in [
            "",
            "deposit",
            "deposit.",
            ".*",
            "*.*",
            "deposit.queued",
            "payout.created",
            "deposit.*.*",
            "Deposit.*",
            "dep*",
            "webhook_endpoint.test",
        ] {
            assert_eq!(Wanted::parse(["*", bad]), Err(WantedError::Unknown(bad.to_owned())));
        }
        assert_eq!(Wanted::parse([]), Err(WantedError::Count));
    }
}
