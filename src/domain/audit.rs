//! The audit log: what persons and keys changed by hand, each row with the hash of the one before it.
//!
//! The database gives a row its number and its hash when it is inserted; here stand the same bytes once
//! more, from another hand, to find rows that were altered, removed, inserted or moved afterwards.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use strum::{Display, EnumString, IntoStaticStr};
use time::OffsetDateTime;
use uuid::Uuid;

use super::ids::{CustomerId, KeyId, MerchantId};

/// A SHA-256.
pub type Hash = [u8; 32];

/// What stands before the bytes of every row: another form would have another name.
const FORM: &str = "tillgate-audit-1";

/// What sort of actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Display, EnumString, IntoStaticStr, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ActorKind {
    /// An API key of the merchant's.
    Key,
    /// The operator, on the command line.
    Operator,
    /// A customer of the merchant's, by a browser that came back from a wallet.
    Customer,
}

/// Who does something, and in which request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    kind: ActorKind,
    id: Option<String>,
    name: String,
    request_id: Option<String>,
}

impl By {
    /// A key does it; `name` is its name, or its beginning where it has none.
    pub fn key(id: KeyId, name: &str, request_id: String) -> Self {
        Self { kind: ActorKind::Key, id: Some(id.to_string()), name: name.to_owned(), request_id: Some(request_id) }
    }

    /// The operator does it, under this name on his machine.
    pub fn operator(name: &str) -> Self {
        Self { kind: ActorKind::Operator, id: None, name: name.to_owned(), request_id: None }
    }

    /// A customer does it.
    pub fn customer(customer: &CustomerId, request_id: String) -> Self {
        Self { kind: ActorKind::Customer, id: None, name: customer.to_string(), request_id: Some(request_id) }
    }

    /// Who it is, for the record: the key's id where it is a key.
    pub fn label(&self) -> &str {
        self.id.as_deref().unwrap_or(&self.name)
    }

    /// What they do, to what: `action` is a stable dotted name, `subject` a type and an id.
    pub fn does(&self, merchant: MerchantId, at: OffsetDateTime, action: impl Into<String>, subject: (&'static str, String)) -> Entry {
        Entry {
            merchant_id: merchant.0,
            at,
            actor_kind: self.kind,
            actor_id: self.id.clone(),
            actor_name: self.name.clone(),
            action: action.into(),
            subject_type: subject.0,
            subject_id: subject.1,
            before: None,
            after: None,
            reason: None,
            request_id: self.request_id.clone(),
        }
    }
}

/// A row that is to be written together with the change that it tells of. Its fields are named as the columns.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// Whose log it is in.
    pub merchant_id: Uuid,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Who.
    pub actor_kind: ActorKind,
    /// The key's id, if it is a key.
    pub actor_id: Option<String>,
    /// Who, for people.
    pub actor_name: String,
    /// What.
    pub action: String,
    /// To what sort of thing.
    pub subject_type: &'static str,
    /// To which.
    pub subject_id: String,
    /// How it was. No secrets are in it.
    pub before: Option<Value>,
    /// How it is. No secrets are in it.
    pub after: Option<Value>,
    /// Why, in the actor's words.
    pub reason: Option<String>,
    /// The request.
    pub request_id: Option<String>,
}

impl Entry {
    /// With what was before.
    pub fn before(self, before: Value) -> Self {
        Self { before: Some(before), ..self }
    }

    /// With what is now.
    pub fn after(self, after: Value) -> Self {
        Self { after: Some(after), ..self }
    }

    /// With why.
    pub fn because(self, reason: &str) -> Self {
        Self { reason: Some(reason.to_owned()), ..self }
    }
}

/// A row as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Whose log it is in.
    pub merchant: MerchantId,
    /// Its number, from 1, without gaps.
    pub position: i64,
    /// When, exact to the microsecond.
    pub at: OffsetDateTime,
    /// Who: `key`, `operator` or `customer`.
    pub actor_kind: String,
    /// The key's id, if it is a key.
    pub actor_id: Option<String>,
    /// Who, for people.
    pub actor_name: String,
    /// What.
    pub action: String,
    /// To what sort of thing.
    pub subject_type: String,
    /// To which.
    pub subject_id: String,
    /// How it was: JSON, to the letter.
    pub before: Option<String>,
    /// How it is: JSON, to the letter.
    pub after: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The request.
    pub request_id: Option<String>,
    /// The hash of the row before it; zeros in the first one.
    pub previous_hash: Vec<u8>,
    /// Its own.
    pub hash: Vec<u8>,
}

impl Row {
    /// What its hash is of: every field as a netstring (`LENGTH:TEXT,`, the length in bytes of UTF-8), `-,` where it is absent.
    pub fn bytes(&self) -> Vec<u8> {
        let micros = self.at.unix_timestamp_nanos() / 1000;
        let (merchant, position, micros) = (self.merchant.0.to_string(), self.position.to_string(), micros.to_string());
        let previous = hex::encode(&self.previous_hash);
        let fields = [
            Some(FORM),
            Some(&merchant),
            Some(&position),
            Some(&micros),
            Some(&self.actor_kind),
            self.actor_id.as_deref(),
            Some(&self.actor_name),
            Some(&self.action),
            Some(&self.subject_type),
            Some(&self.subject_id),
            self.before.as_deref(),
            self.after.as_deref(),
            self.reason.as_deref(),
            self.request_id.as_deref(),
            Some(&previous),
        ];
        let netstring = |field: Option<&str>| field.map_or_else(|| "-,".to_owned(), |field| format!("{}:{field},", field.len()));
        fields.map(netstring).concat().into_bytes()
    }
}

/// How far a chain has been followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// The last row's number; 0 before the first.
    pub position: i64,
    /// The last row's hash; zeros before the first.
    pub hash: Hash,
}

/// Where a chain is broken, and how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Rows are not there.
    #[error("position {first}: removed (the next row that is there is {next})")]
    Removed {
        /// The first that is missing.
        first: i64,
        /// The next one that is there.
        next: i64,
    },
    /// The newest rows are not there.
    #[error("position {first}: removed (the log should end at {head})")]
    Cut {
        /// The first that is missing.
        first: i64,
        /// The head's number.
        head: i64,
    },
    /// A row was changed after it was written.
    #[error("position {0}: altered (its hash is not that of what it says)")]
    Altered(i64),
    /// A row that belongs elsewhere, or nowhere: neither its place nor its content is what was hashed.
    #[error("position {0}: reordered or inserted (another row was written here)")]
    Moved(i64),
    /// A row that is whole but does not continue the row before it.
    #[error("position {0}: inserted, or the row before it was altered and hashed anew (it does not continue that row)")]
    Unchained(i64),
    /// Rows after the one that the head names, or another one in its place.
    #[error("position {0}: inserted or altered (the head of the log does not name it)")]
    NotTheHead(i64),
    /// The chain is whole, and not the one that was expected.
    #[error("position {position}: altered and hashed anew from here or before (its hash is {found}, not the expected {expected})")]
    NotAsExpected {
        /// Where the expectation was.
        position: i64,
        /// The hash there.
        found: String,
        /// The hash that should be there.
        expected: String,
    },
}

impl Chain {
    /// Follows the chain to the next row.
    pub fn follow(self, row: &Row) -> Result<Self, Broken> {
        let here = self.position + 1;
        if row.position != here {
            return Err(Broken::Removed { first: here, next: row.position });
        }
        let hash: Hash = Sha256::digest(row.bytes()).into();
        match (row.hash == hash, row.previous_hash == self.hash) {
            (true, true) => Ok(Self { position: here, hash }),
            (true, false) => Err(Broken::Unchained(here)),
            (false, true) => Err(Broken::Altered(here)),
            // It may be that row, with the wrong hash of the one before it.
            (false, false) => {
                let mended = Row { previous_hash: self.hash.to_vec(), ..row.clone() };
                let same = row.hash == Sha256::digest(mended.bytes()).as_slice();
                Err(if same { Broken::Altered(here) } else { Broken::Moved(here) })
            }
        }
    }

    /// Whether the chain, followed to its end, is the one whose head was kept.
    pub fn ends_at(self, head: Self) -> Result<(), Broken> {
        if self.position < head.position {
            return Err(Broken::Cut { first: self.position + 1, head: head.position });
        }
        if self.position > head.position {
            return Err(Broken::NotTheHead(head.position + 1));
        }
        (self.hash == head.hash).then_some(()).ok_or(Broken::NotTheHead(self.position))
    }

    /// Whether the chain is, where `expected` stands, what was seen there before.
    pub fn meets(self, expected: Self) -> Result<(), Broken> {
        if self.position != expected.position || self.hash == expected.hash {
            return Ok(());
        }
        Err(Broken::NotAsExpected { position: self.position, found: hex::encode(self.hash), expected: hex::encode(expected.hash) })
    }
}

impl std::fmt::Display for Chain {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}@{}", hex::encode(self.hash), self.position)
    }
}

impl std::str::FromStr for Chain {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (hash, position) = text.split_once('@')?;
            let hash = hex::decode(hash).ok()?.try_into().ok()?;
            Some(Self { position: position.parse().ok().filter(|position| *position >= 0)?, hash })
        };
        read().ok_or("must be a hash of 64 hex digits, @ and a position, as `audit verify` prints them")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(position: i64, previous: Hash) -> Row {
        let mut row = Row {
            merchant: MerchantId(Uuid::from_u128(1)),
            position,
            at: OffsetDateTime::from_unix_timestamp_nanos(1_769_817_600_123_457_000).expect("a time"),
            actor_kind: "key".to_owned(),
            actor_id: Some("key_1".to_owned()),
            actor_name: "ada".to_owned(),
            action: "a.b".to_owned(),
            subject_type: "a".to_owned(),
            subject_id: "ü".to_owned(),
            before: None,
            after: Some(r#"{"b": 1, "a":  [1.50]}"#.to_owned()),
            reason: Some("why".to_owned()),
            request_id: None,
            previous_hash: previous.to_vec(),
            hash: Vec::new(),
        };
        row.hash = Sha256::digest(row.bytes()).to_vec();
        row
    }

    fn chain(length: i64) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for position in 1..=length {
            let previous = rows.last().map_or([0; 32], |last| last.hash.clone().try_into().expect("32 bytes"));
            rows.push(row(position, previous));
        }
        rows
    }

    fn follow(rows: &[Row]) -> Result<Chain, Broken> {
        rows.iter().try_fold(Chain::default(), Chain::follow)
    }

    #[test]
    fn a_row_is_hashed_as_the_database_hashes_it() {
        // What Postgres makes of the same rows.
        let rows = chain(3);
        let text = "16:tillgate-audit-1,36:00000000-0000-0000-0000-000000000001,1:1,16:1769817600123457,3:key,5:key_1,3:ada,3:a.b,1:a,2:ü,-,\
                    22:{\"b\": 1, \"a\":  [1.50]},3:why,-,64:0000000000000000000000000000000000000000000000000000000000000000,";
        assert_eq!(String::from_utf8(rows[0].bytes()).expect("text"), text);
        let hashes = [
            "a729b5cf3564097bb86f41db49e7054455a1a8ef24ec804e29700db81f088527",
            "fe439862539bd882bfbbeb4468378283eb41558ee3baee87ba29dbd91e8b0aa8",
            "566e26240ebf92999d069dbb984b9103dbae90a2a437b814a44d655b80c48638",
        ];
        assert_eq!(rows.iter().map(|row| hex::encode(&row.hash)).collect::<Vec<_>>(), hashes);
    }

    #[test]
    fn what_was_done_to_a_chain_is_told() {
        let whole = chain(5);
        let head = follow(&whole).expect("it is whole");
        assert_eq!((head.position, head.ends_at(head)), (5, Ok(())));
        let without = |position: usize| [&whole[..position - 1], &whole[position..]].concat();
        assert_eq!(follow(&without(1)), Err(Broken::Removed { first: 1, next: 2 }));
        assert_eq!(follow(&without(3)), Err(Broken::Removed { first: 3, next: 4 }));
        assert_eq!(follow(&without(5)).and_then(|end| end.ends_at(head)), Err(Broken::Cut { first: 5, head: 5 }));
        assert_eq!(follow(&chain(6)).and_then(|end| end.ends_at(head)), Err(Broken::NotTheHead(6)));
        let mut altered = whole.clone();
        altered[2].reason = None;
        assert_eq!(follow(&altered), Err(Broken::Altered(3)));
        altered[2].hash = Sha256::digest(altered[2].bytes()).to_vec();
        assert_eq!(follow(&altered), Err(Broken::Unchained(4)));
        assert_eq!(follow(&altered[..3]).and_then(|end| end.ends_at(Chain { position: 3, ..head })), Err(Broken::NotTheHead(3)));
        let mut swapped = whole.clone();
        (swapped[2].position, swapped[3].position) = (4, 3);
        swapped.swap(2, 3);
        assert_eq!(follow(&swapped), Err(Broken::Moved(3)));
    }

    #[test]
    fn a_chain_that_was_hashed_anew_is_not_the_one_that_was_kept_elsewhere() {
        let kept: Chain = follow(&chain(2)).expect("it is whole").to_string().parse().expect("a head");
        let mut forged = vec![Row { action: "x.y".to_owned(), ..row(1, [0; 32]) }];
        forged[0].hash = Sha256::digest(forged[0].bytes()).to_vec();
        forged.push(row(2, forged[0].hash.clone().try_into().expect("32 bytes")));
        let end = follow(&forged).expect("it is whole in itself");
        assert!(matches!(end.meets(kept), Err(Broken::NotAsExpected { position: 2, .. })));
        assert_eq!(kept.meets(kept), Ok(()));
        for bad in ["", "00@1", "@", &"0".repeat(64), &format!("{}@x", "0".repeat(64)), &format!("{}@-1", "0".repeat(64))] {
            assert!(bad.parse::<Chain>().is_err(), "{bad}");
        }
    }

    proptest! {
        /// Texts moved over the border of two fields are other bytes.
        #[test]
        fn fields_cannot_run_into_each_other(one in ".{0,6}", other in ".{0,6}", absent in any::<bool>()) {
            let fields = |id: Option<&str>, name: &str| Row { actor_id: id.map(str::to_owned), actor_name: name.to_owned(), ..row(1, [0; 32]) }.bytes();
            let as_is = fields((!absent).then_some(&one), &other);
            let joined = fields(None, &format!("{one}{other}"));
            prop_assert_eq!(as_is == joined, absent && one.is_empty());
            let swapped = fields(Some(&other), &one);
            prop_assert_eq!(as_is == swapped, !absent && one == other);
        }
    }
}
