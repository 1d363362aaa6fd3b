//! Retention: what merchants were told is kept by the month, and a month that is old enough is dropped whole.
//!
//! Nothing goes that is to be delivered yet, however old it is. Tables that are in use are left alone until the next round: nobody
//! who pays waits for us.

use metrics::{counter, gauge};

use super::Context;
use super::error::FlowError;
use crate::domain::month::Month;
use crate::store::retention::{self, Change};

/// So many months have their tables before they begin: time enough to notice that they cannot be made.
const AHEAD: usize = 3;

/// Makes the months that come, and drops those that are old enough. Gives the number of both.
pub async fn keep(context: &Context) -> Result<usize, FlowError> {
    Ok(make(context).await? + drop_old(context).await?)
}

/// Makes the months that come, and those of what was written without one.
async fn make(context: &Context) -> Result<usize, FlowError> {
    let present = Month::of(context.clock.now());
    let mut connection = context.db.get().await?;
    let there = retention::months(&mut connection).await?;
    let coming = present.and_following(AHEAD);
    // What has a later id than these waits until its month comes: the clock that gave it was wrong.
    let missed = retention::months_in_default(&mut connection, present).await?;
    let mut made = 0;
    for month in coming.chain(missed).filter(|month| !there.contains(month)) {
        match retention::make_month(&mut connection, month).await? {
            Change::Made => {
                tracing::info!(%month, "a month of events has its tables");
                made += 1;
            }
            Change::Unneeded | Change::Pending => {}
            Change::Busy => {
                tracing::warn!(%month, "a month of events could not get its tables: they are in use; it is tried again");
                break;
            }
        }
    }
    Ok(made)
}

/// Drops the months that are old enough and of which nothing is to be delivered any more.
async fn drop_old(context: &Context) -> Result<usize, FlowError> {
    let Some(age) = context.keep_events else { return Ok(0) };
    let now = context.clock.now();
    let mut connection = context.db.get().await?;
    let old: Vec<Month> = retention::months(&mut connection).await?.into_iter().filter(|month| month.ended_ago(age, now)).collect();
    let (mut left, mut dropped) = (old.len(), 0);
    for month in old {
        match retention::drop_month(&mut connection, month, now).await? {
            Change::Made => {
                counter!("tillgate_event_months_dropped_total").increment(1);
                tracing::info!(%month, "a month of events was dropped for its age");
                (left, dropped) = (left - 1, dropped + 1);
            }
            Change::Unneeded => left -= 1,
            Change::Pending => tracing::info!(%month, "a month of events is old enough and stays: deliveries of it are pending"),
            Change::Busy => {
                tracing::warn!(%month, "a month of events could not be dropped: its tables are in use; it is tried again");
                break;
            }
        }
    }
    gauge!("tillgate_event_months_overdue").set(u32::try_from(left).unwrap_or(u32::MAX));
    Ok(dropped)
}
