use strum::IntoEnumIterator;

use super::*;
use crate::domain::agenda::{Task, Timing};
use crate::domain::hearing::tests::at;
use crate::domain::recovery::{Capabilities, Progress};

#[test]
fn a_law_reads_back_from_its_name_and_says_what_to_do() {
    for law in Law::iter() {
        assert_eq!(law.to_string().parse(), Ok(law));
        assert!(law.invariant().starts_with('I') && law.advice().ends_with('.'), "{law}");
    }
}

#[test]
fn the_checks_know_the_steps_of_the_state_machine() {
    let steps = legal_steps();
    for known in [
        "deposit created>awaiting_payment",
        "deposit expired>succeeded",
        "payout queued>processing/submitting",
        "payout processing/submitting>succeeded",
    ] {
        assert!(steps.iter().any(|step| step == known), "{known}");
    }
    let (ends, _) = ends();
    for step in &steps {
        let (kind, from) = step.split('>').next().and_then(|from| from.split_once(' ')).expect("a kind and a place");
        assert!(!ends.contains(&format!("{kind} {from}")), "{step} leaves an end");
    }
    assert!(!steps.iter().any(|step| step.starts_with("payout processing") && step.ends_with(">canceled")));
}

#[test]
fn orders_begin_where_they_are_made() {
    let all = beginnings();
    for known in ["deposit created", "payout queued", "payout requires_approval", "deposit processing/confirming"] {
        assert!(all.iter().any(|beginning| beginning == known), "{known}");
    }
    assert!(!all.iter().any(|beginning| beginning == "payout succeeded"));
}

/// The list of places without a task is that of the agenda, for each wallet.
#[test]
fn orders_rest_where_the_agenda_has_nothing_to_do() {
    let asked = |provider: Provider| Capabilities {
        refuses_duplicates: true,
        lookup_by_trade_id: provider == Provider::Hicoin,
        lookup_by_reference: provider == Provider::Fomo,
        callbacks: true,
        deposit_feed: provider == Provider::Hicoin,
    };
    let rests = rests();
    for kind in FAMILIES {
        for state in State::all(kind).into_iter().filter(|state| !state.ends_at_once()) {
            for provider in [Provider::Fomo, Provider::Hicoin] {
                let mut order = at(state);
                (order.provider, order.is_final, order.doubts, order.doubt_since) = (provider, false, 0, None);
                order.provider_reference = None;
                let next = Task::next(&order, asked(provider), Progress::default(), &Timing::default(), order.created_at);
                let named = format!("{provider} {} {}", family(kind), place(state));
                assert_eq!(rests.contains(&named), next.is_none(), "{named}");
            }
        }
    }
}
