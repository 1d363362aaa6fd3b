//! Findings: where two sides disagree, how bad that is, and the way out.

use serde::Serialize;
use serde_json::Value;
use strum::{Display, EnumString, IntoStaticStr};
use utoipa::ToSchema;

/// Two sides that disagree, found while a report was heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// About what.
    pub kind: FindingKind,
    /// Our side.
    pub ours: Value,
    /// The other side.
    pub theirs: Value,
}

/// How soon somebody should look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Display, EnumString, IntoStaticStr, ToSchema)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Severity {
    /// Nobody's money is in doubt.
    Minor,
    /// An amount is in doubt.
    Major,
    /// Money may be lost, or may have moved twice or to somebody else.
    Critical,
}

/// What two sides can disagree about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Display, EnumString, IntoStaticStr, ToSchema)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum FindingKind {
    /// We have it, the provider does not.
    MissingAtProvider,
    /// The provider has it, we do not.
    MissingHere,
    /// The amount.
    Amount,
    /// The coin.
    Coin,
    /// How it stands.
    Status,
    /// What the provider took.
    Fee,
    /// Who the other side is.
    Recipient,
    /// The provider carried it out more than once.
    Duplicate,
    /// A final order, and evidence against it.
    Contradiction,
    /// The balance.
    Balance,
    /// A call with a valid address whose content is not true.
    ForgedCallback,
}

impl FindingKind {
    /// All kinds.
    pub const ALL: [Self; 11] = [
        Self::MissingAtProvider,
        Self::MissingHere,
        Self::Amount,
        Self::Coin,
        Self::Status,
        Self::Fee,
        Self::Recipient,
        Self::Duplicate,
        Self::Contradiction,
        Self::Balance,
        Self::ForgedCallback,
    ];

    /// How soon somebody should look at it.
    pub fn severity(self) -> Severity {
        match self {
            Self::MissingAtProvider | Self::MissingHere | Self::Status | Self::Recipient | Self::Duplicate | Self::Contradiction => {
                Severity::Critical
            }
            Self::Amount | Self::Coin | Self::Balance => Severity::Major,
            Self::Fee | Self::ForgedCallback => Severity::Minor,
        }
    }

    /// The way out, in a sentence for whoever looks at it.
    pub fn suggested_action(self) -> &'static str {
        match self {
            Self::MissingAtProvider => {
                "Ask the provider for the movement by its reference and id. Send nothing again before they have answered in writing."
            }
            Self::MissingHere => {
                "Reconcile with --repair, or refresh a deposit of this account: the movement is then read and finds its order."
            }
            Self::Amount => {
                "Compare both amounts with the provider's own statement; correct it with them, or resolve this with what they said."
            }
            Self::Coin => "Find out from the provider which coin moved; settle the difference with the customer by an order of its own.",
            Self::Status => {
                "Refresh the order, or reconcile with --repair. If it is final, ask the provider what happened after it said so."
            }
            Self::Fee => "Compare with the provider's list of fees; resolve this with what they said.",
            Self::Recipient => "Ask the provider who got the money, and whether it can be taken back, before anything is paid again.",
            Self::Duplicate => "Ask the provider to take the second movement back; it knows both by their references.",
            Self::Contradiction => {
                "Look at the order's timeline, ask the provider which of the two is true, and settle the difference by hand."
            }
            Self::Balance => {
                "Look for a movement that was not made here: a top-up, a withdrawal on the provider's page, a fee. Resolve this with what it was."
            }
            Self::ForgedCallback => "Nothing moved. Look at where the call came from; if it comes again, tell the provider.",
        }
    }
}
