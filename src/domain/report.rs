//! What a provider (or a person, or the clock) says of an order: one form for every channel.

use serde::{Serialize, Serializer};
use strum::{Display, EnumString, IntoStaticStr};

use super::money::Amount;
use super::order::{Direction, NextAction};
use super::receipt::Takings;
use super::recovery::Permit;

/// The way by which a report came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Channel {
    /// The answer to our own call.
    Answer,
    /// A provider's call to us. Nobody signs it.
    Callback,
    /// The answer to our question about one order.
    Lookup,
    /// The provider's list of incoming money.
    Feed,
    /// A user's browser that came back. It proves nothing.
    Browser,
    /// A person of the merchant or of the operator.
    Operator,
    /// The merchant's own request.
    Merchant,
    /// Time that passed.
    Clock,
    /// The gateway itself, before a call.
    Gateway,
}

/// One report of an order.
#[derive(Clone, Debug)]
pub struct Report {
    /// How it came.
    pub channel: Channel,
    /// No better proof than this report is to be had. Only then does a claim move money.
    pub proven: bool,
    /// What it says.
    pub says: Says,
    /// What came in, as it came. Absent where nothing came from outside.
    pub evidence: Option<Evidence>,
}

/// What a report says.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and most say a record")]
#[derive(Clone, Debug)]
pub enum Says {
    /// A call is about to leave; allowed by the permit.
    Attempt(Permit),
    /// What became of a call. `late` if the attempt had been written off as unknown before.
    Answer {
        /// What the adapter made of it.
        outcome: Outcome,
        /// The attempt had been given up when the answer came.
        late: bool,
    },
    /// A provider's record of the movement.
    Record(ProviderRecord),
    /// What the receipts of a deposit add up to now.
    Receipts(Takings),
    /// Something that cannot be read, or must not be believed. Says why.
    Unreadable(String),
    /// Nothing new: only the order's task is written anew.
    Nothing,
    /// The deadline has passed; nothing else was found out.
    TimeUp,
    /// Every way to learn the outcome is used up.
    GaveUp,
    /// The merchant calls it off.
    Cancel,
    /// The time for late money is over.
    Close,
    /// A person decides.
    Decision {
        /// What they decided.
        decision: Decision,
        /// Who they are.
        by: String,
        /// Why.
        reason: String,
        /// The provider, which refuses a repeated id, was asked often enough and knows of no such movement.
        absent: bool,
    },
}

/// What a person can decide of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Decision {
    /// The money moved.
    Confirm,
    /// The money did not move.
    Reject,
    /// Send it (again).
    Retry,
    /// It may be sent.
    Approve,
}

/// What a call that may move money came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The provider took it and says how it stands.
    Accepted(Box<ProviderRecord>),
    /// A documented final refusal: nothing moved.
    Refused(Code),
    /// Not a byte of the request left.
    NotSent(String),
    /// The provider refused us, not the order (secret, clock, addresses): nothing moved; to be tried
    /// again when the configuration is right, and worth an alarm.
    Misconfigured(Code),
    /// The provider has this id already; with what it told of it, if it did.
    Duplicate(Option<Box<ProviderRecord>>),
    /// Anything else: it may have moved money or not.
    Unknown(String),
}

impl Outcome {
    /// The name that an attempt keeps of it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Accepted(_) => "accepted",
            Self::Refused(_) => "refused",
            Self::NotSent(_) => "not_sent",
            Self::Misconfigured(_) => "misconfigured",
            Self::Duplicate(_) => "duplicate",
            Self::Unknown(_) => "unknown",
        }
    }

    /// What to show of it.
    pub fn detail(&self) -> String {
        match self {
            Self::Accepted(record) => format!("the provider says {}", record.standing),
            Self::Refused(code) | Self::Misconfigured(code) => format!("{} ({})", code.message, code.provider_code),
            Self::NotSent(why) | Self::Unknown(why) => why.clone(),
            Self::Duplicate(_) => "the provider has this trade id already".to_owned(),
        }
    }
}

/// A code of a provider, with our stable name for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// Our stable name.
    pub code: &'static str,
    /// The provider's own code, as it came.
    pub provider_code: String,
    /// What it means, for humans.
    pub message: String,
}

/// How a movement stands at the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr, Serialize)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nobody has paid yet.
    Awaiting,
    /// Taken, in progress.
    Accepted,
    /// The provider's people look at it.
    InReview,
    /// On the chain.
    Broadcast,
    /// Done.
    Paid,
    /// Failed for good.
    Failed,
}

/// A provider's record of one movement. What it did not say is absent, and is not compared. As JSON it is what people
/// are shown of it: no secrets are in it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProviderRecord {
    /// How it stands.
    pub standing: Standing,
    /// Our id, echoed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trade_id: Option<String>,
    /// The provider's id of the movement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The provider's id of the user on the other side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The provider's id of the user that the money is taken from, where it is not the merchant's own account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The address that it goes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The provider's id of the coin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coin: Option<String>,
    /// The amount that moves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
    /// What the provider takes of it, in the same coin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fee: Option<Amount>,
    /// Other fees that it tells of, with their names and coins, to be shown only.
    #[serde(flatten, serialize_with = "fees")]
    pub other_fees: Vec<(&'static str, String, String)>,
    /// Which way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// The chain's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub txid: Option<String>,
    /// Confirmations on the chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmations: Option<i32>,
    /// What the customer has to do.
    #[serde(skip)]
    pub next_action: Option<NextAction>,
}

impl ProviderRecord {
    /// A record that says nothing but how it stands.
    pub fn new(standing: Standing) -> Self {
        Self {
            standing,
            trade_id: None,
            reference: None,
            user: None,
            source: None,
            address: None,
            coin: None,
            amount: None,
            fee: None,
            other_fees: Vec::new(),
            direction: None,
            txid: None,
            confirmations: None,
            next_action: None,
        }
    }
}

/// Each by its name.
fn fees<S: Serializer>(fees: &[(&'static str, String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(fees.iter().map(|(name, coin, amount)| (name, format!("{amount} {coin}"))))
}

/// What came in from outside, kept before it is believed.
#[derive(Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The bytes, as they came. Sealed at rest: a provider may put personal data into them.
    pub raw: Vec<u8>,
    /// Where a callback came from, as far as we can see.
    pub source: Option<String>,
}

impl std::fmt::Debug for Evidence {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Evidence({} bytes)", self.raw.len())
    }
}

impl Report {
    /// Whether the provider (or a person whom we know) is known to have said it: then a difference
    /// from the order is the order's problem. A callback or a browser may be anybody.
    pub fn is_authenticated(&self) -> bool {
        match self.channel {
            Channel::Answer
            | Channel::Lookup
            | Channel::Feed
            | Channel::Operator
            | Channel::Merchant
            | Channel::Clock
            | Channel::Gateway => true,
            Channel::Callback | Channel::Browser => false,
        }
    }

    /// What it says, in a few words, for the step that it causes.
    pub fn reason(&self) -> String {
        match &self.says {
            Says::Attempt(_) => "an attempt is about to be sent".to_owned(),
            Says::Answer { outcome, .. } => format!("{}: {}", outcome.name(), outcome.detail()),
            Says::Record(record) => format!("the {} says {}", self.channel, record.standing),
            Says::Receipts(takings) => takings.to_string(),
            Says::Unreadable(why) => why.clone(),
            Says::Nothing => "nothing new".to_owned(),
            Says::TimeUp => "the deadline has passed without payment".to_owned(),
            Says::GaveUp => "the outcome could not be learnt".to_owned(),
            Says::Cancel => "the merchant canceled it".to_owned(),
            Says::Close => "the time for late money is over".to_owned(),
            Says::Decision { decision, by, reason, .. } => format!("{decision} by {by}: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_shows_what_it_says_and_leaves_out_what_it_does_not() {
        assert_eq!(json!(ProviderRecord::new(Standing::InReview)), json!({ "standing": "in_review" }));
        let record = ProviderRecord {
            trade_id: Some("d-1".to_owned()),
            amount: Some(Amount::parse("12.50").unwrap()),
            other_fees: vec![("withdraw_fee", "eth".to_owned(), "0.1".to_owned()), ("real_fee", "usdt".to_owned(), "2".to_owned())],
            direction: Some(Direction::In),
            confirmations: Some(3),
            next_action: Some(NextAction::Redirect { url: "https://wallet.example/secret".to_owned() }),
            ..ProviderRecord::new(Standing::Paid)
        };
        let shown = json!({ "standing": "paid", "trade_id": "d-1", "amount": "12.5", "direction": "in", "confirmations": 3,
            "withdraw_fee": "0.1 eth", "real_fee": "2 usdt" });
        assert_eq!(json!(record), shown);
    }
}
