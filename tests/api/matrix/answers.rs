//! The cells of what FOMO answers to our own calls: `pre_pay` for deposits, `pay_user` for payouts.

use tillgate::sandbox::{CallbackFault, Fault};

use super::Act::{
    Always, CallbackFault as Spoil, Callbacks, Claim, Confirm, Create, Fault as Break, Is, Pass, PassADay, Release, Settle, Submit, While,
};
use super::{Story, at, story};

pub fn ok_deposit() -> Vec<Story> {
    vec![story(
        "offered, paid, called back, proven by a query",
        [Create, Is("awaiting_payment"), Confirm, Callbacks, Is("processing/verifying"), Settle],
        at("succeeded").executed().callbacks(1),
    )]
}

pub fn ok_payout() -> Vec<Story> {
    vec![story("sent and answered", [Create, Is("queued"), Submit, Is("succeeded"), Callbacks], at("succeeded").executed().callbacks(1))]
}

pub fn lost_deposit() -> Vec<Story> {
    let pay = || at("succeeded").attempts(2).executed().callbacks(1);
    vec![
        story(
            "lost before FOMO heard of it: offered again",
            [Break("pre_pay", Fault::LoseBefore), Create, Is("created"), Pass(5), Is("awaiting_payment"), Confirm, Callbacks, Settle],
            pay(),
        ),
        story(
            "lost after FOMO took it: the callback tells the transfer",
            [Break("pre_pay", Fault::LoseAfter), Create, Is("created"), Pass(5), Is("created"), Confirm, Callbacks, Settle],
            pay(),
        ),
        story(
            "lost after FOMO took it, and nobody pays",
            [Break("pre_pay", Fault::LoseAfter), Create, Pass(1020), Is("expired"), PassADay],
            at("expired").closed().attempts(8),
        ),
        story("always lost", [Always("pre_pay", Fault::LoseBefore), Create, Pass(1020), PassADay], at("expired").closed().attempts(8)),
    ]
}

pub fn lost_payout() -> Vec<Story> {
    let unknown = Is("processing/outcome_unknown");
    vec![
        story(
            "lost before FOMO heard of it: sent again",
            [Break("pay_user", Fault::LoseBefore), Create, Submit, unknown, Pass(5), Is("succeeded"), Callbacks],
            at("succeeded").attempts(2).executed().callbacks(1),
        ),
        story(
            "lost after FOMO paid it: the callback tells",
            [Break("pay_user", Fault::LoseAfter), Create, Submit, Callbacks, Pass(60)],
            at("succeeded").executed().callbacks(1),
        ),
        story(
            "an HTTP 500 is no answer",
            [Break("pay_user", Fault::Error500After), Create, Submit, Is("processing/outcome_unknown"), Callbacks],
            at("succeeded").executed().callbacks(1),
        ),
        story(
            "lost again and again",
            [Always("pay_user", Fault::LoseBefore), Create, Submit, Pass(1430), PassADay],
            // By the schedule of looks: 8 within 24 minutes, and one in each hour after that.
            at("requires_review/outcome_unknown").attempts(8 + 23),
        ),
    ]
}

pub fn late_deposit() -> Vec<Story> {
    vec![
        story(
            "answered after we stopped waiting",
            [Break("pre_pay", Fault::HangAfter), Create, Is("created"), Release, Pass(5), Confirm, Callbacks, Settle],
            at("succeeded").attempts(2).executed().callbacks(1),
        ),
        story(
            "heard by FOMO after it was offered again",
            [Break("pre_pay", Fault::HangLate), Create, Pass(5), Is("awaiting_payment"), Release, Confirm, Callbacks, Settle],
            at("succeeded").attempts(2).executed().callbacks(1),
        ),
        story(
            "answered after the attempt was written off and repeated",
            [
                Break("pre_pay", Fault::HangAfter),
                While(Create.into(), vec![Pass(31), Is("created"), Release]),
                Is("awaiting_payment"),
                Confirm,
                Callbacks,
                Settle,
            ],
            at("succeeded").attempts(2).executed().callbacks(1),
        ),
    ]
}

pub fn late_payout() -> Vec<Story> {
    vec![
        story(
            "FOMO pays after we stopped waiting, and calls back",
            [Break("pay_user", Fault::HangLate), Create, Submit, Is("processing/outcome_unknown"), Release, Pass(1), Callbacks, Pass(60)],
            at("succeeded").executed().callbacks(1),
        ),
        story(
            "FOMO hears the first call after the second",
            [Break("pay_user", Fault::HangLate), Create, Submit, Pass(5), Is("succeeded"), Release, Callbacks, Pass(60)],
            at("succeeded").attempts(2).executed().callbacks(1),
        ),
        story(
            "the answer comes after the attempt was written off",
            [
                Break("pay_user", Fault::HangAfter),
                Create,
                While(Submit.into(), vec![Pass(31), Is("processing/outcome_unknown"), Release]),
                Is("succeeded"),
                Pass(60),
            ],
            at("succeeded").executed(),
        ),
        story(
            "the answer comes after the attempt was written off and repeated",
            [
                Break("pay_user", Fault::HangAfter),
                Create,
                While(Submit.into(), vec![Pass(40), Is("processing/accepted"), Release]),
                Is("succeeded"),
                Callbacks,
            ],
            at("succeeded").attempts(2).executed().callbacks(1),
        ),
    ]
}

pub fn repeated_deposit() -> Vec<Story> {
    vec![
        story(
            "offered again: FOMO has the trade id already, and says so",
            [Break("pre_pay", Fault::LoseAfter), Create, Pass(20), Is("created"), Confirm, Callbacks, Settle],
            at("succeeded").attempts(3).executed().callbacks(1),
        ),
        story(
            "FOMO has the trade id already at the first call: nobody is asked to pay",
            [Break("pre_pay", Fault::Code(211)), Create, Is("created"), Pass(5), Is("awaiting_payment"), Confirm, Callbacks, Settle],
            at("succeeded").attempts(2).executed().callbacks(1),
        ),
    ]
}

pub fn repeated_payout() -> Vec<Story> {
    vec![
        story(
            "sent again: FOMO has the trade id already, and the callback ends it",
            [Break("pay_user", Fault::LoseAfter), Create, Submit, Pass(5), Is("processing/accepted"), Callbacks],
            at("succeeded").attempts(2).executed().callbacks(1),
        ),
        story(
            "FOMO has the trade id already at the first call: a person decides",
            [Break("pay_user", Fault::Code(211)), Create, Submit, Is("processing/accepted"), PassADay],
            at("requires_review/outcome_unknown"),
        ),
        story(
            "FOMO has the trade id, and the payment has failed there",
            [Spoil(CallbackFault::Failed), Create, Submit, Pass(5), Is("processing/accepted"), Callbacks],
            at("failed").attempts(2).callbacks(1),
        ),
    ]
}

pub fn reordered_deposit() -> Vec<Story> {
    vec![
        story(
            "paid and called back before the offer is answered",
            [
                Break("pre_pay", Fault::HangAfter),
                While(Create.into(), vec![Confirm, Callbacks, Is("processing/verifying"), Release]),
                Settle,
            ],
            at("succeeded").executed().callbacks(1),
        ),
        story(
            "paid, called back and proven before the offer is answered",
            [Break("pre_pay", Fault::HangAfter), While(Create.into(), vec![Confirm, Callbacks, Settle, Is("succeeded"), Release]), Settle],
            at("succeeded").executed().callbacks(1),
        ),
    ]
}

pub fn reordered_payout() -> Vec<Story> {
    vec![
        story(
            "the callback outruns the answer",
            [Break("pay_user", Fault::CallbackFirst), Create, Submit, Is("succeeded"), Pass(60)],
            at("succeeded").executed().callbacks(1),
        ),
        story(
            "the second answer comes before the first",
            [
                Break("pay_user", Fault::HangAfter),
                Create,
                While(Submit.into(), vec![Pass(40), Callbacks, Is("succeeded"), Release]),
                Pass(60),
            ],
            at("succeeded").attempts(2).executed().callbacks(1),
        ),
    ]
}

pub fn contradictory_deposit() -> Vec<Story> {
    vec![
        story(
            "refused while the first offer is in doubt: the user can pay, and does",
            [
                Break("pre_pay", Fault::LoseAfter),
                Create,
                Break("pre_pay", Fault::Code(24)),
                Pass(5),
                Is("created"),
                Confirm,
                Callbacks,
                Settle,
            ],
            at("succeeded").attempts(2).executed().callbacks(1),
        ),
        story(
            "refused for good, and then called back as paid",
            [Break("pre_pay", Fault::Code(24)), Create, Is("failed"), Claim("1"), Settle],
            at("failed").callbacks(1).disagrees(&["contradiction"]),
        ),
    ]
}

pub fn contradictory_payout() -> Vec<Story> {
    vec![
        story(
            "refused for good, and then called back as paid",
            [Break("pay_user", Fault::Code(24)), Create, Submit, Is("failed"), Claim("1"), Pass(60)],
            at("failed").callbacks(1).disagrees(&["contradiction"]),
        ),
        story(
            "refused while the first call is in doubt: no failure",
            [
                Break("pay_user", Fault::LoseAfter),
                Break("pay_user", Fault::Code(24)),
                Create,
                Submit,
                Pass(5),
                Is("processing/outcome_unknown"),
                Pass(15),
                Is("processing/accepted"),
                Callbacks,
            ],
            at("succeeded").attempts(3).executed().callbacks(1),
        ),
        story(
            "answered as paid, and called back with another amount",
            [Spoil(CallbackFault::WrongAmount("9.5".to_owned())), Create, Submit, Callbacks],
            at("succeeded").executed().callbacks(1).disagrees(&["forged_callback"]),
        ),
        story(
            "answered with an internal error, and called back as paid",
            [Break("pay_user", Fault::HangLate), Create, Submit, Release, Break("pay_user", Fault::Code(5)), Pass(5), Callbacks],
            at("succeeded").attempts(2).executed().callbacks(1),
        ),
    ]
}
