//! How movements stand at Hicoin: the numbers of each kind of movement, and what they mean.
//!
//! The kinds use the same numbers for different things: 0 is a transfer that is done, a withdrawal
//! that nobody has looked at, and a deposit that is not confirmed.

use crate::domain::receipt::Progress;
use crate::domain::report::Standing;
use crate::providers::reading::{Fields, Unreadable};

/// By which way a withdrawal goes (`withdraw_type` in `hicoin-openapi.rst`, section 4.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithdrawType {
    /// To an address outside, over the chain.
    OnChain,
    /// To an address of Hicoin's own, as a transfer.
    Internal,
    /// A number that the document does not list.
    Unknown(i64),
}

/// How a withdrawal over the chain stands (`hicoin-openapi.rst`, section 4.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithdrawStatus {
    /// Nobody has looked at it yet.
    Unreviewed,
    /// Somebody looked at it and let it pass.
    Approved,
    /// Somebody looked at it and refused it.
    Rejected,
    /// The coins were sent and are on their way.
    Paying,
    /// The payment failed.
    PaymentFailed,
    /// Done.
    Completed,
    /// Taken back.
    Revoked,
    /// A number that the document does not list.
    Unknown(i64),
}

/// How a transfer stands (`hicoin-openapi.rst`, sections 4.7 to 4.9, 4.14 and 4.15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferStatus {
    /// Done.
    Succeeded,
    /// Failed.
    Failed,
    /// A number that the document does not list.
    Unknown(i64),
}

/// How a deposit stands (`hicoin-openapi.rst`, section 4.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DepositStatus {
    /// Not confirmed yet.
    Pending,
    /// Done.
    Completed,
    /// Something is wrong with it.
    Abnormal,
    /// A number that the document does not list.
    Unknown(i64),
}

impl WithdrawType {
    /// Reads a number. One that is not documented is kept.
    pub fn from_number(number: i64) -> Self {
        match number {
            1 => Self::OnChain,
            2 => Self::Internal,
            other => Self::Unknown(other),
        }
    }
}

impl WithdrawStatus {
    /// Reads a number. One that is not documented is kept.
    pub fn from_number(number: i64) -> Self {
        match number {
            0 => Self::Unreviewed,
            1 => Self::Approved,
            2 => Self::Rejected,
            3 => Self::Paying,
            4 => Self::PaymentFailed,
            5 => Self::Completed,
            6 => Self::Revoked,
            other => Self::Unknown(other),
        }
    }

    fn standing(self) -> Result<Standing, Unreadable> {
        match self {
            Self::Unreviewed => Ok(Standing::InReview),
            Self::Approved => Ok(Standing::Accepted),
            Self::Paying => Ok(Standing::Broadcast),
            Self::Completed => Ok(Standing::Paid),
            Self::Rejected | Self::PaymentFailed | Self::Revoked => Ok(Standing::Failed),
            Self::Unknown(number) => Err(undocumented("status", number)),
        }
    }
}

impl TransferStatus {
    /// Reads a number. One that is not documented is kept.
    pub fn from_number(number: i64) -> Self {
        match number {
            0 => Self::Succeeded,
            1 => Self::Failed,
            other => Self::Unknown(other),
        }
    }

    fn standing(self) -> Result<Standing, Unreadable> {
        match self {
            Self::Succeeded => Ok(Standing::Paid),
            Self::Failed => Ok(Standing::Failed),
            Self::Unknown(number) => Err(undocumented("status", number)),
        }
    }
}

impl DepositStatus {
    /// Reads a number. One that is not documented is kept.
    pub fn from_number(number: i64) -> Self {
        match number {
            0 => Self::Pending,
            1 => Self::Completed,
            2 => Self::Abnormal,
            other => Self::Unknown(other),
        }
    }

    fn progress(self) -> Result<Progress, Unreadable> {
        match self {
            Self::Pending => Ok(Progress::Pending),
            Self::Completed => Ok(Progress::Confirmed),
            Self::Abnormal => Ok(Progress::Abnormal),
            Self::Unknown(number) => Err(undocumented("status", number)),
        }
    }
}

/// The number of a status, in either spelling (`statuts` in the document's samples).
pub(super) fn status(fields: &Fields) -> Result<Option<i64>, Unreadable> {
    match (fields.integer("status")?, fields.integer("statuts")?) {
        (Some(one), Some(other)) if one != other => Err(Unreadable("status and statuts say two things".to_owned())),
        (one, other) => Ok(one.or(other)),
    }
}

/// How a transfer stands, in an answer as in a list.
pub(super) fn transfer(fields: &Fields) -> Result<Standing, Unreadable> {
    TransferStatus::from_number(required(fields)?).standing()
}

/// How a withdrawal stands, in the answer to the call that makes it.
pub(super) fn withdrawal(fields: &Fields) -> Result<Standing, Unreadable> {
    let status = required(fields)?;
    match withdraw_type(fields)? {
        Some(way) => withdrawal_by(way, status),
        // The document's own sample has no withdraw_type. Then 0 may be an internal transfer that is
        // done or a withdrawal that nobody has looked at, and 1 one that failed or one that was let
        // pass: the lists will tell. The other numbers are those of one kind only.
        None => match WithdrawStatus::from_number(status) {
            WithdrawStatus::Unreviewed | WithdrawStatus::Approved => Ok(Standing::Accepted),
            other => other.standing(),
        },
    }
}

/// How a withdrawal stands in the list of withdrawals, which is one of those over the chain: its
/// entries have no `withdraw_type` in the document.
pub(super) fn listed_withdrawal(fields: &Fields) -> Result<Standing, Unreadable> {
    withdrawal_by(withdraw_type(fields)?.unwrap_or(WithdrawType::OnChain), required(fields)?)
}

/// How a deposit stands.
pub(super) fn deposit(fields: &Fields) -> Result<Progress, Unreadable> {
    DepositStatus::from_number(required(fields)?).progress()
}

fn withdrawal_by(way: WithdrawType, status: i64) -> Result<Standing, Unreadable> {
    match way {
        WithdrawType::OnChain => WithdrawStatus::from_number(status).standing(),
        WithdrawType::Internal => TransferStatus::from_number(status).standing(),
        WithdrawType::Unknown(number) => Err(undocumented("withdraw_type", number)),
    }
}

fn withdraw_type(fields: &Fields) -> Result<Option<WithdrawType>, Unreadable> {
    Ok(fields.integer("withdraw_type")?.map(WithdrawType::from_number))
}

fn required(fields: &Fields) -> Result<i64, Unreadable> {
    status(fields)?.ok_or_else(|| Unreadable("status is missing".to_owned()))
}

fn undocumented(name: &str, number: i64) -> Unreadable {
    Unreadable(format!("{name} {number} is not documented"))
}
