//! The cells of what FOMO calls back, which nobody signs.

use tillgate::sandbox::{CallbackFault, Fault};

use super::Act::{
    Again, Always, CallbackFault as Spoil, Callbacks, Cancel, Claim, Confirm, Create, Fault as Break, Is, Mend, Pass, PassADay, Release,
    Settle, Submit, Unlink, While,
};
use super::{Story, at, story};

/// FOMO's question about a transfer answers that it has expired.
fn forgotten() -> super::Act {
    Break("get_transfer_detail", Fault::Code(213))
}

pub fn ok_deposit() -> Vec<Story> {
    vec![
        story("paid", [Create, Confirm, Callbacks, Settle], at("succeeded").executed().callbacks(1)),
        story(
            "failed: nobody paid, and the provider knows of no payment until the end",
            [Create, Claim("0"), Is("processing/verifying"), Pass(600)],
            at("failed").callbacks(1),
        ),
    ]
}

pub fn ok_payout() -> Vec<Story> {
    vec![
        story(
            "paid: the callback is all that is heard",
            [Break("pay_user", Fault::LoseAfter), Create, Submit, Callbacks],
            at("succeeded").executed().callbacks(1),
        ),
        story("failed at FOMO", [Spoil(CallbackFault::Failed), Create, Submit, Callbacks, Pass(60)], at("failed").callbacks(1)),
    ]
}

pub fn lost_deposit() -> Vec<Story> {
    vec![
        story(
            "paid: the query at the deadline finds it",
            [Spoil(CallbackFault::Missing), Create, Confirm, Callbacks, Pass(295), Is("awaiting_payment"), Pass(10)],
            at("succeeded").executed(),
        ),
        story("not paid: it expires, and is over a day later", [Create, Pass(305), Is("expired"), PassADay], at("expired").closed()),
        story(
            "paid, and forgotten by the query at the deadline: the last look finds it",
            [forgotten(), Spoil(CallbackFault::Missing), Create, Confirm, Callbacks, Pass(305), Is("expired"), PassADay],
            at("succeeded").executed().late(),
        ),
    ]
}

pub fn lost_payout() -> Vec<Story> {
    let missing = || Spoil(CallbackFault::Missing);
    vec![
        story("the answer is enough", [missing(), Create, Submit, Callbacks, PassADay], at("succeeded").executed()),
        story(
            "so is the answer to the second call",
            [missing(), Break("pay_user", Fault::LoseBefore), Create, Submit, Pass(5), Callbacks],
            at("succeeded").attempts(2).executed(),
        ),
        story(
            "without answer and callback a person decides",
            [
                missing(),
                Break("pay_user", Fault::LoseAfter),
                Create,
                Submit,
                Pass(5),
                Callbacks,
                Pass(1800),
                Is("processing/accepted"),
                PassADay,
            ],
            at("requires_review/outcome_unknown").attempts(2).executed(),
        ),
    ]
}

pub fn late_deposit() -> Vec<Story> {
    vec![
        story(
            "after expiry: it is money, and late",
            [forgotten(), Create, Confirm, Pass(305), Is("expired"), Callbacks, Is("processing/verifying"), Settle],
            at("succeeded").executed().callbacks(1).late(),
        ),
        story(
            "after cancellation: it is money, and late",
            [Create, Confirm, Cancel, Callbacks, Settle],
            at("succeeded").executed().callbacks(1).late(),
        ),
        story(
            "after the end: the money is on the unmatched list",
            [Always("get_transfer_detail", Fault::Code(213)), Create, Confirm, PassADay, Is("expired"), Mend, Callbacks, Settle],
            at("expired").closed().executed().callbacks(1).unmatched(1),
        ),
        story(
            "after the end, without a link to ask by: the money is on the unmatched list, too",
            [Create, Confirm, Unlink, PassADay, Is("expired"), Callbacks, Settle],
            at("expired").closed().executed().callbacks(1).unmatched(1),
        ),
        story(
            "a failure after cancellation is no news",
            [Create, Cancel, Claim("0"), Is("canceled"), Pass(600)],
            at("canceled").callbacks(1),
        ),
        story(
            "a failure after expiry is no news",
            [Create, Pass(305), Is("expired"), Claim("0"), Is("expired"), Pass(600)],
            at("expired").callbacks(1),
        ),
    ]
}

pub fn late_payout() -> Vec<Story> {
    vec![
        story(
            "after a person was asked: it ends the payout",
            [Break("pay_user", Fault::LoseAfter), Create, Submit, PassADay, Is("requires_review/outcome_unknown"), Callbacks],
            at("succeeded").attempts(2).executed().callbacks(1),
        ),
        story("long after the answer", [Create, Submit, PassADay, Callbacks], at("succeeded").executed().callbacks(1)),
    ]
}

pub fn repeated_deposit() -> Vec<Story> {
    let hundred = || Spoil(CallbackFault::Repeat(100));
    vec![
        story("a hundred at once", [hundred(), Create, Confirm, Callbacks, Settle], at("succeeded").executed().callbacks(1)),
        story(
            "before and after the proof: nothing is written",
            [Create, Confirm, Callbacks, Again(50), Is("processing/verifying"), Settle, Again(50)],
            at("succeeded").executed().callbacks(1),
        ),
        story(
            "after the end: FOMO is asked once, and the money is counted once",
            [Always("get_transfer_detail", Fault::Code(213)), Create, Confirm, PassADay, Mend, Callbacks, Again(50)],
            at("expired").closed().executed().callbacks(1).unmatched(1),
        ),
        story(
            "after the end, without a link to ask by: the money is counted once",
            [Create, Confirm, Unlink, PassADay, Callbacks, Again(50), Settle],
            at("expired").closed().executed().callbacks(1).unmatched(1),
        ),
    ]
}

pub fn repeated_payout() -> Vec<Story> {
    let lose = || Break("pay_user", Fault::LoseAfter);
    vec![
        story(
            "a hundred at once",
            [Spoil(CallbackFault::Repeat(100)), lose(), Create, Submit, Callbacks, Settle],
            at("succeeded").executed().callbacks(1),
        ),
        story("after the answer: nothing is written", [Create, Submit, Callbacks, Again(100)], at("succeeded").executed().callbacks(1)),
        story(
            "after the first one: nothing is written",
            [lose(), Create, Submit, Callbacks, Again(100)],
            at("succeeded").executed().callbacks(1),
        ),
    ]
}

pub fn reordered_deposit() -> Vec<Story> {
    vec![
        story(
            "before the offer is answered, with the query answered first",
            [
                Break("pre_pay", Fault::HangAfter),
                While(Create.into(), vec![Confirm, Callbacks, Settle, Is("succeeded"), Release]),
                Again(10),
            ],
            at("succeeded").executed().callbacks(1),
        ),
        story(
            "before the user is told that it is paid",
            [Create, Break("confirm_pay", Fault::CallbackFirst), Confirm, Is("processing/verifying"), Settle],
            at("succeeded").executed().callbacks(1),
        ),
        story(
            "the failure of a first try after the payment of the second",
            [Create, Confirm, Callbacks, Claim("0"), Settle],
            at("succeeded").executed().callbacks(2),
        ),
    ]
}

pub fn reordered_payout() -> Vec<Story> {
    vec![
        story(
            "while the call is open",
            [Break("pay_user", Fault::HangAfter), Create, While(Submit.into(), vec![Callbacks, Is("succeeded"), Release]), Pass(60)],
            at("succeeded").executed().callbacks(1),
        ),
        story(
            "of a failure, while the call is open",
            [
                Spoil(CallbackFault::Failed),
                Break("pay_user", Fault::HangAfter),
                Create,
                While(Submit.into(), vec![Callbacks, Is("failed"), Release]),
                Pass(60),
            ],
            at("failed").callbacks(1),
        ),
        story(
            "before anything was sent: somebody else uses this id",
            [Break("pay_user", Fault::Code(7)), Create, Submit, Is("queued"), Claim("1"), Is("requires_review/mismatch"), PassADay],
            at("requires_review/mismatch").callbacks(1),
        ),
    ]
}

/// Every field that can be wrong, one at a time.
fn spoilt() -> [(&'static str, CallbackFault); 5] {
    [
        ("another amount", CallbackFault::WrongAmount("9.5".to_owned())),
        ("another coin", CallbackFault::WrongCoin),
        ("another user", CallbackFault::WrongUser),
        ("another transfer", CallbackFault::WrongTransferId),
        ("another direction", CallbackFault::WrongDirection),
    ]
}

pub fn contradictory_deposit() -> Vec<Story> {
    let mut stories: Vec<Story> = spoilt()
        .into_iter()
        .map(|(name, fault)| {
            let acts = [Spoil(fault), Create, Confirm, Callbacks, Settle, Is("awaiting_payment"), Pass(305)];
            // It is not believed; the query at the deadline finds the money all the same.
            story(name, acts, at("succeeded").executed().callbacks(1).disagrees(&["forged_callback"]))
        })
        .collect();
    stories.extend([
        story(
            "paid and failed in one breath: the query decides",
            [Spoil(CallbackFault::Contradict), Create, Confirm, Callbacks, Settle],
            at("succeeded").executed().callbacks(2),
        ),
        story(
            "failed after it succeeded",
            [Create, Confirm, Callbacks, Settle, Is("succeeded"), Claim("0"), Settle],
            at("succeeded").executed().callbacks(2).disagrees(&["contradiction"]),
        ),
        story(
            "paid after it was called failed",
            [Create, Claim("0"), Settle, Is("processing/verifying"), Confirm, Callbacks, Settle],
            at("succeeded").executed().callbacks(2),
        ),
        story(
            "paid after it had failed for good",
            [Create, Claim("0"), Pass(600), Is("failed"), Claim("1"), Pass(60)],
            at("failed").callbacks(2).disagrees(&["contradiction"]),
        ),
        story(
            "paid, and nobody paid",
            [Create, Claim("1"), Is("processing/verifying"), Pass(600)],
            at("expired").callbacks(1).disagrees(&["forged_callback"]),
        ),
    ]);
    stories
}

pub fn contradictory_payout() -> Vec<Story> {
    let mut stories: Vec<Story> = spoilt()
        .into_iter()
        .map(|(name, fault)| {
            let end = at("succeeded").executed().callbacks(1).disagrees(&["forged_callback"]);
            story(name, [Spoil(fault), Create, Submit, Callbacks, Pass(60)], end)
        })
        .collect();
    let in_doubt = spoilt().into_iter().filter(|(_, fault)| *fault != CallbackFault::WrongTransferId);
    stories.extend(in_doubt.map(|(name, fault)| {
        let acts = [
            Spoil(fault),
            Break("pay_user", Fault::LoseAfter),
            Create,
            Submit,
            Callbacks,
            Is("processing/outcome_unknown"),
            Pass(5),
            Is("processing/accepted"),
            PassADay,
        ];
        let end = at("requires_review/outcome_unknown").attempts(2).executed().callbacks(1).disagrees(&["forged_callback"]);
        story(name, acts, end)
    }));
    stories.extend([
        story(
            "failed after it succeeded",
            [Spoil(CallbackFault::Contradict), Create, Submit, Callbacks, Pass(60)],
            at("succeeded").executed().callbacks(2).disagrees(&["contradiction"]),
        ),
        story(
            "paid after it had failed",
            [Spoil(CallbackFault::Failed), Create, Submit, Callbacks, Is("failed"), Claim("1"), Pass(60)],
            at("failed").callbacks(2).disagrees(&["contradiction"]),
        ),
    ]);
    stories
}
