//! Names of things: ids that we make, and ids that merchants give us.

use std::fmt;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use uuid::Uuid;

use super::order::Kind;

/// Why a text is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct IdError(&'static str);

macro_rules! our_ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Reads the public form, prefix and 32 hex digits.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                parse_prefixed(text, $prefix).map(Self).ok_or(IdError(concat!("must look like ", $prefix, "0193f2a7...")))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!($prefix, "{}"), self.0.simple())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}

our_ids! {
    /// A merchant: the tenant that owns everything else.
    MerchantId = "mer_";
    /// An API key of a merchant's application.
    KeyId = "key_";
    /// One call that may move money.
    AttemptId = "att_";
    /// What a provider said of an order, once.
    ReportId = "rep_";
    /// What the merchant is told of a step.
    EventId = "evt_";
    /// One incoming movement that a provider reports.
    ReceiptId = "rcp_";
    /// One row of a statement.
    MovementId = "mov_";
    /// Two sides that disagree.
    DiscrepancyId = "dsc_";
    /// One comparison of both sides over a period.
    RunId = "rec_";
    /// An authorisation that Youliao was asked for.
    AuthorizationId = "aut_";
    /// Where a merchant wants to be told.
    EndpointId = "whe_";
    /// What deliveries to an endpoint are signed with.
    SecretId = "whs_";
    /// One event on its way to one endpoint.
    DeliveryId = "whd_";
}

fn parse_prefixed(text: &str, prefix: &str) -> Option<Uuid> {
    let hex = text.strip_prefix(prefix)?;
    (hex.len() == 32).then(|| Uuid::try_parse(hex).ok())?
}

/// A deposit, payout or transfer. Shown with the prefix of its kind (`dep_`, `pay_`, `trf_`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(pub Uuid);

impl OrderId {
    /// The public form, which tells the kind.
    pub fn public(self, kind: Kind) -> String {
        format!("{}{}", kind.prefix(), self.0.simple())
    }

    /// No order that was created then or later has a smaller id. Ids tell whole milliseconds.
    pub fn first_of(time: OffsetDateTime) -> Self {
        const LAST: i128 = (1 << 48) - 1;
        let millis = time.unix_timestamp_nanos().div_euclid(1_000_000).clamp(0, LAST);
        Self(Uuid::from_u128(millis.unsigned_abs() << 80))
    }

    /// Reads the public form of an order of this kind.
    pub fn parse(text: &str, kind: Kind) -> Result<Self, IdError> {
        parse_prefixed(text, kind.prefix()).map(Self).ok_or(IdError("must be the id of an order of this list, for example the last one's"))
    }
}

/// The merchant's own name of an order: its idempotency key, FOMO's `trade_id` and Hicoin's
/// `request_id`. 1 to 64 of `0-9A-Za-z_-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct TradeId(String);

impl TradeId {
    /// Reads a trade id.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if text.is_empty() || text.len() > 64 || !plain {
            return Err(IdError("must be 1 to 64 characters of 0-9, A-Z, a-z, _ and -"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text that travels.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TradeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The merchant's end user, by the merchant's own id. 1 to 128 characters, none of them a control
/// character, no blank at either end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct CustomerId(String);

impl CustomerId {
    /// Reads a customer id.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let length = text.chars().count();
        if length == 0 || length > 128 || text.trim() != text || text.chars().any(char::is_control) {
            return Err(IdError("must be 1 to 128 characters without control characters or blanks at its ends"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text that travels.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CustomerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, proptest};

    use super::*;
    use crate::domain::clock::Clock;

    #[test]
    fn public_ids_read_back_and_only_with_their_own_prefix() {
        let id = EventId(Uuid::from_u128(7));
        assert_eq!(EventId::parse(&id.to_string()), Ok(id));
        assert!(AttemptId::parse(&id.to_string()).is_err());
        let order = OrderId(Uuid::from_u128(9));
        assert_eq!(OrderId::parse(&order.public(Kind::Payout), Kind::Payout), Ok(order));
        assert!(OrderId::parse(&order.public(Kind::Payout), Kind::Deposit).is_err());
    }

    proptest! {
        #[test]
        fn what_was_created_in_a_period_has_its_id_there(created in 0_i64..4_000_000_000_000_000, from in 0_i64..4_000_000_000_000_000, near in -2_000_i64..2_000) {
            let time = |micros: i64| OffsetDateTime::UNIX_EPOCH + time::Duration::microseconds(micros);
            let id = OrderId(Clock::manual(time(0), 1).new_uuid_of(time(created)));
            for from in [from, (created + near).max(0)] {
                prop_assert!(created < from || id >= OrderId::first_of(time(from)));
                prop_assert!(created >= from || id < OrderId::first_of(time(from + 1_000)));
            }
        }
    }

    #[test]
    fn times_before_and_after_all_ids_are_no_mistake() {
        assert_eq!(OrderId::first_of(time::Date::MIN.midnight().assume_utc()), OrderId(Uuid::nil()));
        assert!(OrderId::first_of(time::Date::MAX.midnight().assume_utc()) < OrderId(Uuid::max()));
    }

    #[test]
    fn trade_ids_are_what_both_wallets_can_carry() {
        for good in ["a", "order-1_B", &"x".repeat(64)] {
            assert!(TradeId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", " a", "a b", "ä", "a/b", "a\0", &"x".repeat(65)] {
            assert!(TradeId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
