//! Verifying: whether everything that is stored obeys the laws. Nothing is changed, however long it takes, and a gateway may be
//! at work meanwhile: each check sees one moment.

use std::time::Duration;

use strum::IntoEnumIterator;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::audit;
use super::error::FlowError;
use crate::domain::ids::MerchantId;
use crate::domain::law::{Breach, Law};
use crate::store::verify::{self, Found, Part, Range, Tables};
use crate::store::{Db, accounts};

/// Work that is later than this, beyond the lease of whoever may be at it, is stuck.
pub const GRACE: Duration = Duration::from_secs(60);

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// The merchant's name; all merchants if absent.
    pub merchant: Option<String>,
    /// What was due before this is stuck; absent where nobody is at work who could be late.
    pub stuck_before: Option<OffsetDateTime>,
}

/// What is seen while it is under way.
#[derive(Debug)]
pub enum Seen<'a> {
    /// A merchant's turn has come, who has so many rows.
    Merchant(&'a str, i64),
    /// So many rows more were looked at, of this part.
    Rows(Part, i64),
    /// A law is broken.
    Broken(Breach),
}

/// What it came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Merchants.
    pub merchants: u64,
    /// Rows that were looked at, with all that belongs to them.
    pub rows: i64,
    /// Laws broken, each time counted.
    pub breaches: u64,
    /// It was stopped before its end.
    pub stopped: bool,
}

/// Looks at everything of one merchant or of all, page by page; memory does not grow with what is stored. `None`: there is no
/// such merchant.
pub async fn verify(db: &Db, wish: &Wish, stop: &CancellationToken, mut see: impl FnMut(Seen<'_>)) -> Result<Option<Verified>, FlowError> {
    let mut reader = verify::reader(db).await?;
    let tables = Tables::new(wish.stuck_before);
    let all = accounts::merchants(&mut *db.get().await?).await?;
    let wanted: Vec<_> = all.into_iter().filter(|row| wish.merchant.as_ref().is_none_or(|name| *name == row.name)).collect();
    if wanted.is_empty() && wish.merchant.is_some() {
        return Ok(None);
    }
    let mut verified = Verified::default();
    let tell = |merchant: &str, found: Vec<Found>, verified: &mut Verified, see: &mut dyn FnMut(Seen<'_>)| {
        for Found { law, about, found } in found {
            verified.breaches += 1;
            see(Seen::Broken(Breach { law, merchant: merchant.to_owned(), about, found }));
        }
    };
    tell("", verify::check_guards(&mut reader).await?, &mut verified, &mut see);
    for merchant in wanted {
        verified.merchants += 1;
        see(Seen::Merchant(&merchant.name, verify::sizes(&mut reader, merchant.id).await?));
        verify::row_by_row(&mut reader).await?;
        for part in Part::iter() {
            let mut after = Uuid::nil();
            loop {
                if stop.is_cancelled() {
                    return Ok(Some(Verified { stopped: true, ..verified }));
                }
                let end = verify::page(&mut reader, part, merchant.id, after).await?;
                let rows = end.map_or(0, |(_, rows)| rows);
                // The last page has no end: what belongs to no row is behind them all, too.
                let until = end.filter(|_| rows == verify::PAGE).map_or(Uuid::max(), |(last, _)| last);
                let found = verify::check(&mut reader, part, Range { merchant: merchant.id, after, until }, &tables).await?;
                verified.rows += rows;
                tell(&merchant.name, found, &mut verified, &mut see);
                see(Seen::Rows(part, rows));
                if rows < verify::PAGE {
                    break;
                }
                after = until;
            }
        }
        verify::as_a_whole(&mut reader).await?;
        let found = verify::check_merchant(&mut reader, merchant.id, &tables).await?;
        tell(&merchant.name, found, &mut verified, &mut see);
        let found = audit_log(db, merchant.id).await?;
        tell(&merchant.name, found, &mut verified, &mut see);
    }
    Ok(Some(verified))
}

/// Every breach, in a list: for those who have little to look at.
pub async fn breaches(db: &Db, wish: &Wish) -> Result<Vec<Breach>, FlowError> {
    let mut all = Vec::new();
    let see = |seen: Seen<'_>| {
        if let Seen::Broken(breach) = seen {
            all.push(breach);
        }
    };
    verify(db, wish, &CancellationToken::new(), see).await?;
    Ok(all)
}

async fn audit_log(db: &Db, merchant: MerchantId) -> Result<Vec<Found>, FlowError> {
    let broken = audit::verify(db, merchant, None).await?.err();
    let found = |broken: crate::domain::audit::Broken| Found {
        law: Law::AuditLogIsWhole,
        about: "audit log".to_owned(),
        found: broken.to_string(),
    };
    Ok(broken.map(found).into_iter().collect())
}
