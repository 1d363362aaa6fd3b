//! The audit log, read and checked. It is written by the statements that make the changes.

use super::Context;
use super::error::FlowError;
use super::page;
use crate::domain::audit::{Broken, Chain, Row};
use crate::domain::ids::MerchantId;
pub use crate::store::audit::Filter;
use crate::store::{Db, audit};

/// Rows that are in memory at once.
const PAGE: i64 = 500;

/// Rows of a merchant's log, newest first, at most `limit`; and whether there are more.
pub async fn list(context: &Context, merchant: MerchantId, filter: &Filter, limit: usize) -> Result<(Vec<Row>, bool), FlowError> {
    let found = audit::list(&mut *context.db.get().await?, merchant, filter, page::asked(limit)).await?;
    Ok(page::shown(found, limit))
}

/// Follows a merchant's log from its first row to its last, and compares it with its head, and with what was seen of it before.
/// Gives the last row's number and hash. Rows may be added meanwhile.
pub async fn verify(db: &Db, merchant: MerchantId, expected: Option<Chain>) -> Result<Result<Chain, Broken>, FlowError> {
    let mut connection = db.get().await?;
    let mut chain = Chain::default();
    let meets = |chain: Chain| expected.map_or(Ok(()), |expected| chain.meets(expected));
    if let Err(broken) = meets(chain) {
        return Ok(Err(broken));
    }
    loop {
        // Read before the rows: they are in the log by then, and those that come later only follow them.
        let head = audit::head(&mut connection, merchant).await?;
        let mut at_head = (chain.position == head.position).then_some(chain);
        loop {
            let rows = audit::after(&mut connection, merchant, chain.position, PAGE).await?;
            let last = i64::try_from(rows.len()).unwrap_or(PAGE) < PAGE;
            for row in &rows {
                chain = match chain.follow(row).and_then(|next| meets(next).map(|()| next)) {
                    Ok(next) => next,
                    Err(broken) => return Ok(Err(broken)),
                };
                if chain.position == head.position {
                    at_head = Some(chain);
                }
            }
            if last {
                break;
            }
        }
        if let Err(broken) = at_head.unwrap_or(chain).ends_at(head) {
            return Ok(Err(broken));
        }
        // Rows that came meanwhile have moved the head, too; others are none of ours.
        let now = audit::head(&mut connection, merchant).await?;
        if chain.position == head.position || (now == chain) {
            break;
        }
        if now == head {
            return Ok(chain.ends_at(now).map(|()| chain));
        }
    }
    let short = expected.filter(|expected| expected.position > chain.position);
    Ok(match short {
        Some(expected) => Err(Broken::Cut { first: chain.position + 1, head: expected.position }),
        None => Ok(chain),
    })
}
