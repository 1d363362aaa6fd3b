use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::*;

/// What the table can be asked under; the first is the plain case.
const CIRCUMSTANCES: [(&str, Circumstances); 4] = [
    ("", Circumstances { doubts: 0, is_final: false }),
    (" in doubt", Circumstances { doubts: 1, is_final: false }),
    (" closed", Circumstances { doubts: 0, is_final: true }),
    (" closed in doubt", Circumstances { doubts: 1, is_final: true }),
];
const PLAIN: Circumstances = CIRCUMSTANCES[0].1;
const IN_DOUBT: Circumstances = CIRCUMSTANCES[1].1;
const CLOSED: Circumstances = CIRCUMSTANCES[2].1;

/// Every question that the table can be asked about this kind, with its answer.
fn table(kind: Kind) -> Vec<(State, Fact, Circumstances, Result<State, Refusal>)> {
    let mut all = Vec::new();
    for state in State::all(kind) {
        for fact in facts(kind) {
            for doubts in 0..3 {
                for is_final in [false, true] {
                    let circumstances = Circumstances { doubts, is_final };
                    all.push((state, fact, circumstances, advance(state, fact, circumstances)));
                }
            }
        }
    }
    all
}

/// The true edges: those that lead somewhere else.
fn moves(kind: Kind) -> impl Iterator<Item = (State, Fact, Circumstances, State)> {
    let moves = |(from, fact, circumstances, answer): (State, Fact, Circumstances, Result<State, Refusal>)| {
        answer.ok().filter(|to| *to != from).map(|to| (from, fact, circumstances, to))
    };
    table(kind).into_iter().filter_map(moves)
}

fn d(fact: DepositFact) -> Fact {
    Fact::Deposit(fact)
}

fn p(fact: PayoutFact) -> Fact {
    Fact::Payout(fact)
}

#[test]
fn every_place_reads_back_from_what_it_writes_and_from_nothing_else() {
    for kind in [Kind::Deposit, Kind::Payout, Kind::Transfer] {
        for state in State::all(kind) {
            assert_eq!(State::read(kind, state.status(), state.stage()), Some(state));
            assert_eq!(State::read(kind, state.status(), Some("nowhere")), None);
        }
    }
    assert_eq!(State::read(Kind::Deposit, "processing", Some("submitting")), None);
    assert_eq!(State::read(Kind::Payout, "processing", None), None);
}

#[test]
fn no_two_places_are_written_alike_and_all_are_reached() {
    for (kind, other_start) in [(Kind::Deposit, None), (Kind::Payout, Some(State::Payout(Payout::RequiresApproval)))] {
        let all = State::all(kind);
        let written: BTreeSet<_> = all.iter().map(|state| (state.status(), state.stage())).collect();
        assert_eq!(written.len(), all.len());
        let mut reached = vec![State::first(kind)];
        reached.extend(other_start);
        for _ in &all {
            for (from, _, _, to) in moves(kind) {
                if reached.contains(&from) && !reached.contains(&to) {
                    reached.push(to);
                }
            }
        }
        assert_eq!(reached.len(), all.len(), "{kind}: only {reached:?} are reached");
    }
}

#[test]
fn a_fact_of_the_other_kind_is_refused_everywhere() {
    for (kind, other) in [(Kind::Deposit, Kind::Payout), (Kind::Payout, Kind::Deposit)] {
        for state in State::all(kind) {
            for fact in facts(other) {
                assert_eq!(advance(state, fact, PLAIN), Err(Refusal::WrongKind));
            }
        }
    }
}

#[test]
fn no_edge_leaves_an_end() {
    for kind in [Kind::Deposit, Kind::Payout] {
        for (from, fact, circumstances, to) in moves(kind) {
            assert!(!from.ends_at_once(), "{from:?} + {fact:?} -> {to:?}");
            assert!(!(from.ends_later() && circumstances.is_final), "closed {from:?} + {fact:?} -> {to:?}");
        }
    }
}

#[test]
fn an_expired_or_canceled_deposit_is_left_for_money_a_claim_of_it_a_doubt_or_a_person_alone() {
    for (from, fact, _, to) in moves(Kind::Deposit).filter(|edge| edge.0.ends_later()) {
        let named = match fact {
            Fact::Deposit(DepositFact::Claimed) => to == State::Deposit(Deposit::Verifying),
            Fact::Deposit(DepositFact::AllSeen) => to == State::Deposit(Deposit::Confirming),
            Fact::Deposit(DepositFact::Paid | DepositFact::Confirm) => to == State::Deposit(Deposit::Succeeded),
            Fact::Deposit(DepositFact::Doubtful(review)) => to == State::Deposit(Deposit::RequiresReview(review)),
            _ => false,
        };
        assert!(named, "{from:?} + {fact:?} -> {to:?}");
    }
}

#[test]
fn money_for_a_closed_deposit_is_too_late_and_for_a_failed_one_a_contradiction() {
    for closed in [Deposit::Expired, Deposit::Canceled].map(State::Deposit) {
        for fact in [DepositFact::Claimed, DepositFact::PartSeen, DepositFact::AllSeen, DepositFact::Paid] {
            assert_eq!(advance(closed, d(fact), CLOSED), Err(Refusal::TooLate));
        }
    }
    for fact in [DepositFact::PartSeen, DepositFact::AllSeen, DepositFact::Paid] {
        assert_eq!(advance(State::Deposit(Deposit::Failed), d(fact), PLAIN), Err(Refusal::Contradiction));
    }
    for ended in [Payout::Failed, Payout::Canceled, Payout::Rejected].map(State::Payout) {
        assert_eq!(advance(ended, p(PayoutFact::Paid), PLAIN), Err(Refusal::Contradiction));
    }
}

#[test]
fn failed_is_never_on_the_way_to_succeeded_nor_the_other_way_round() {
    for kind in [Kind::Deposit, Kind::Payout] {
        for (from, fact, _, answer) in table(kind) {
            if matches!(from.status(), "failed" | "succeeded") {
                assert!(answer.is_err() || answer == Ok(from), "{from:?} + {fact:?} -> {answer:?}");
            }
        }
    }
}

#[test]
fn stages_of_a_payout_that_the_provider_has_never_go_back() {
    let rank = |state| match state {
        State::Payout(Payout::Accepted) => Some(1),
        State::Payout(Payout::ProviderReview) => Some(2),
        State::Payout(Payout::Broadcast) => Some(3),
        _ => None,
    };
    for (from, fact, _, to) in moves(Kind::Payout) {
        let Some(before) = rank(from) else { continue };
        let ahead = rank(to).is_some_and(|after| after > before) || to.ends_at_once() || to.status() == "requires_review";
        assert!(ahead, "{from:?} + {fact:?} -> {to:?}");
    }
}

#[test]
fn only_an_attempt_leads_to_submitting_and_only_from_where_none_is_open() {
    for (from, fact, _, answer) in table(Kind::Payout) {
        let claimed = fact == p(PayoutFact::Claimed);
        let open = matches!(from, State::Payout(Payout::Queued | Payout::OutcomeUnknown));
        let submitting = State::Payout(Payout::Submitting);
        assert_eq!(claimed && open, answer == Ok(submitting) && from != submitting, "{from:?} + {fact:?} -> {answer:?}");
        assert_eq!(claimed && !open, answer == Err(Refusal::NotClaimable));
    }
}

#[test]
fn an_order_is_called_off_only_before_anything_was_sent_or_paid() {
    for kind in [Kind::Deposit, Kind::Payout] {
        for (from, _, _, answer) in
            table(kind).into_iter().filter(|row| matches!(row.1, Fact::Deposit(DepositFact::Cancel) | Fact::Payout(PayoutFact::Cancel)))
        {
            let may = match from {
                State::Deposit(state) => matches!(state, Deposit::Created | Deposit::AwaitingPayment | Deposit::Canceled),
                State::Payout(state) => matches!(state, Payout::Queued | Payout::RequiresApproval | Payout::Canceled),
            };
            assert_eq!(answer.map(State::status), if may { Ok("canceled") } else { Err(Refusal::NotCancelable) }, "{from:?}");
        }
    }
}

#[test]
fn queued_again_means_that_no_earlier_call_can_have_moved_money() {
    for (from, fact, circumstances, _) in moves(Kind::Payout).filter(|edge| edge.3 == State::Payout(Payout::Queued)) {
        let approved = from == State::Payout(Payout::RequiresApproval) && fact == p(PayoutFact::Approve);
        let nothing_moved =
            circumstances.doubts == 0 && [PayoutFact::NotSent, PayoutFact::Retry, PayoutFact::RetryAgreed].map(p).contains(&fact);
        assert!(approved || nothing_moved, "{from:?} + {fact:?} under {circumstances:?}");
    }
}

#[test]
fn sending_again_what_might_pay_twice_is_refused_where_it_is_asked() {
    for review in super::edges::REVIEWS {
        let parked = State::Payout(Payout::RequiresReview(review));
        assert_eq!(advance(parked, p(PayoutFact::Retry), IN_DOUBT), Err(Refusal::MightPayTwice));
    }
    let mismatch = State::Payout(Payout::RequiresReview(Review::Mismatch));
    assert_eq!(advance(mismatch, p(PayoutFact::Retry), PLAIN), Err(Refusal::MightPayTwice), "the provider has a movement of this id");
    let cleared = State::Payout(Payout::RequiresReview(Review::OutcomeUnknown));
    assert_eq!(advance(cleared, p(PayoutFact::Retry), PLAIN), Ok(State::Payout(Payout::Queued)));
}

#[test]
fn a_doubt_never_ends_a_payout_by_a_refusal() {
    for (from, _, circumstances, to) in moves(Kind::Payout).filter(|edge| edge.1 == p(PayoutFact::Refused)) {
        assert_eq!(to.status() == "failed", circumstances.doubts == 0, "{from:?} -> {to:?}");
    }
}

#[test]
fn what_a_human_was_called_for_is_never_hidden_by_a_later_doubt() {
    for review in super::edges::REVIEWS {
        let mismatch = State::Payout(Payout::RequiresReview(Review::Mismatch));
        assert_eq!(advance(mismatch, p(PayoutFact::Doubtful(review)), PLAIN), Ok(mismatch));
    }
    let parked = State::Deposit(Deposit::RequiresReview(Review::Late));
    assert_eq!(advance(parked, d(DepositFact::Doubtful(Review::Unproven)), PLAIN), Ok(parked));
    let mismatch = State::Deposit(Deposit::RequiresReview(Review::Mismatch));
    assert_eq!(advance(parked, d(DepositFact::Doubtful(Review::Mismatch)), PLAIN), Ok(mismatch));
}

#[test]
fn a_deposit_goes_its_documented_way() {
    use Deposit::{AwaitingPayment, Canceled, Confirming, Created, Expired, Failed, PartiallyPaid, RequiresReview, Succeeded, Verifying};
    use DepositFact as F;
    for (from, fact, to) in [
        (Created, F::Offered, AwaitingPayment),
        (Created, F::Refused, Failed),
        (Created, F::TimeUp, Expired),
        (AwaitingPayment, F::Claimed, Verifying),
        (AwaitingPayment, F::PartSeen, PartiallyPaid),
        (AwaitingPayment, F::AllSeen, Confirming),
        (AwaitingPayment, F::Paid, Succeeded),
        (AwaitingPayment, F::Failed, Failed),
        (AwaitingPayment, F::TimeUp, Expired),
        (AwaitingPayment, F::Cancel, Canceled),
        (AwaitingPayment, F::Doubtful(Review::Mismatch), RequiresReview(Review::Mismatch)),
        (Verifying, F::Paid, Succeeded),
        (Verifying, F::Failed, Failed),
        (Verifying, F::TimeUp, Expired),
        (Verifying, F::Confirm, Succeeded),
        (Verifying, F::Reject, Failed),
        (PartiallyPaid, F::AllSeen, Confirming),
        (PartiallyPaid, F::TimeUp, Expired),
        (Confirming, F::TimeUp, Confirming),
        (Confirming, F::PartSeen, Confirming),
        (Confirming, F::Paid, Succeeded),
        (Expired, F::Claimed, Verifying),
        (Expired, F::Paid, Succeeded),
        (Canceled, F::Paid, Succeeded),
        (Canceled, F::Doubtful(Review::Late), RequiresReview(Review::Late)),
        (RequiresReview(Review::Unproven), F::Paid, Succeeded),
        (RequiresReview(Review::Mismatch), F::Paid, RequiresReview(Review::Mismatch)),
        (RequiresReview(Review::Late), F::Confirm, Succeeded),
        (RequiresReview(Review::Late), F::Reject, Failed),
    ] {
        assert_eq!(advance(State::Deposit(from), d(fact), PLAIN), Ok(State::Deposit(to)), "{from:?} + {fact:?}");
    }
}

#[test]
fn a_payout_goes_its_documented_way() {
    use Payout::{
        Accepted, Broadcast, Canceled, Failed, OutcomeUnknown, ProviderReview, Queued, Rejected, RequiresApproval, RequiresReview,
        Submitting, Succeeded,
    };
    use PayoutFact as F;
    let parked = RequiresReview(Review::OutcomeUnknown);
    for (from, fact, circumstances, to) in [
        (Queued, F::Claimed, PLAIN, Submitting),
        (Queued, F::Cancel, PLAIN, Canceled),
        (Queued, F::Paid, PLAIN, RequiresReview(Review::Mismatch)),
        (RequiresApproval, F::Approve, PLAIN, Queued),
        (RequiresApproval, F::Reject, PLAIN, Rejected),
        (RequiresApproval, F::Cancel, PLAIN, Canceled),
        (Submitting, F::Refused, PLAIN, Failed),
        (Submitting, F::Refused, IN_DOUBT, OutcomeUnknown),
        (Submitting, F::NotSent, PLAIN, Queued),
        (Submitting, F::NotSent, IN_DOUBT, OutcomeUnknown),
        (Submitting, F::Unknown, IN_DOUBT, OutcomeUnknown),
        (Submitting, F::Duplicate, IN_DOUBT, Accepted),
        (Submitting, F::Accepted, PLAIN, Accepted),
        (Submitting, F::Paid, PLAIN, Succeeded),
        (OutcomeUnknown, F::Claimed, IN_DOUBT, Submitting),
        (OutcomeUnknown, F::Refused, PLAIN, Failed),
        (OutcomeUnknown, F::NotSent, PLAIN, Queued),
        (OutcomeUnknown, F::NotSent, IN_DOUBT, OutcomeUnknown),
        (OutcomeUnknown, F::GaveUp, IN_DOUBT, parked),
        (Accepted, F::InReview, PLAIN, ProviderReview),
        (ProviderReview, F::Accepted, PLAIN, ProviderReview),
        (ProviderReview, F::Broadcast, PLAIN, Broadcast),
        (Broadcast, F::InReview, PLAIN, Broadcast),
        (Broadcast, F::Paid, PLAIN, Succeeded),
        (Broadcast, F::Failed, PLAIN, Failed),
        (Accepted, F::GaveUp, IN_DOUBT, parked),
        (Accepted, F::GaveUp, PLAIN, Accepted),
        (parked, F::Accepted, PLAIN, Accepted),
        (parked, F::Duplicate, IN_DOUBT, parked),
        (parked, F::Broadcast, PLAIN, Broadcast),
        (parked, F::Paid, PLAIN, Succeeded),
        (parked, F::Failed, PLAIN, Failed),
        (parked, F::Refused, PLAIN, Failed),
        (parked, F::Refused, IN_DOUBT, parked),
        (parked, F::Confirm, IN_DOUBT, Succeeded),
        (parked, F::Reject, IN_DOUBT, Failed),
    ] {
        let answer = advance(State::Payout(from), p(fact), circumstances);
        assert_eq!(answer, Ok(State::Payout(to)), "{from:?} + {fact:?} under {circumstances:?}");
    }
}

#[test]
fn the_whole_table_is_the_one_that_was_reviewed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/domain/status/table.md");
    let now = printed();
    if std::env::var_os("UPDATE_TABLE").is_some_and(|value| value == "1") {
        std::fs::write(path, &now).unwrap();
    }
    let reviewed = std::fs::read_to_string(path).unwrap_or_default();
    for (number, (now, then)) in now.lines().zip(reviewed.lines()).enumerate() {
        assert_eq!(now, then, "line {} of table.md; if this is meant, run the test with UPDATE_TABLE=1", number + 1);
    }
    assert_eq!(now.lines().count(), reviewed.lines().count(), "run the test with UPDATE_TABLE=1");
}

/// The table as a page: a section for each fact, a row for each answer.
fn printed() -> String {
    let mut page = String::from(
        "# The state machine\n\nWritten by `status_tests.rs`; after a change on purpose: `UPDATE_TABLE=1 cargo test --lib status`, \
         and read the difference.\n\"in doubt\": other attempts may have moved money. \"closed\": the time for late money is over.\n",
    );
    for (title, kind) in [("Deposits", Kind::Deposit), ("Payouts and transfers", Kind::Payout)] {
        let _ = write!(page, "\n## {title}\n");
        for fact in facts(kind) {
            let name = match fact {
                Fact::Deposit(fact) => format!("{fact:?}"),
                Fact::Payout(fact) => format!("{fact:?}"),
            };
            let _ = write!(page, "\n### {name}\n| becomes | from |\n|---|---|\n");
            for (answer, from) in rows(kind, fact) {
                let _ = writeln!(page, "| {answer} | {} |", from.join(", "));
            }
        }
    }
    page
}

/// The answers to a fact, each with the places that give it. What a circumstance does not change is not repeated.
fn rows(kind: Kind, fact: Fact) -> Vec<(String, Vec<String>)> {
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    for state in State::all(kind) {
        let answer = |circumstances| match advance(state, fact, circumstances) {
            Ok(to) if to == state => "(stays)".to_owned(),
            Ok(to) => place(to),
            Err(refusal) => format!("refused: {}", <&str>::from(refusal)),
        };
        let plain = answer(PLAIN);
        for (suffix, circumstances) in CIRCUMSTANCES {
            let here = answer(circumstances);
            let known = suffix == " closed in doubt" && (here == answer(IN_DOUBT) || here == answer(CLOSED));
            if suffix.is_empty() || (here != plain && !known) {
                match rows.iter_mut().find(|row| row.0 == here) {
                    Some(row) => row.1.push(place(state) + suffix),
                    None => rows.push((here, vec![place(state) + suffix])),
                }
            }
        }
    }
    rows.sort_by_key(|row| (row.0 == "(stays)", row.0.starts_with("refused")));
    rows
}

fn place(state: State) -> String {
    match state.stage() {
        Some(stage) => format!("{}/{stage}", state.status()),
        None => state.status().to_owned(),
    }
}
