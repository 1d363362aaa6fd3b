//! The event feed: the same that the webhooks tell, to be read at any time, in an order that never changes.

use super::Context;
use super::error::FlowError;
use super::page;
use crate::domain::ids::{EventId, MerchantId};
use crate::domain::wanted::Wanted;
pub use crate::store::events::EventRow;
use crate::store::events::{self, Place};

/// Events behind this one, oldest first, at most `limit`; and whether there are more.
pub async fn list(
    context: &Context,
    merchant: MerchantId,
    starting_after: Option<EventId>,
    wanted: Option<&Wanted>,
    limit: usize,
) -> Result<(Vec<EventRow>, bool), FlowError> {
    let mut connection = context.db.get().await?;
    let place = match starting_after {
        None => Place::start(),
        Some(event) => events::place_of(&mut connection, merchant, event).await?.ok_or_else(unknown)?,
    };
    let found = events::after(&mut connection, merchant, &place, wanted.map(Wanted::patterns), page::asked(limit)).await?;
    Ok(page::shown(found, limit))
}

/// Going on from anywhere else would skip something.
fn unknown() -> FlowError {
    FlowError::field("starting_after", "event_unknown", "there is no such event; give the id of the last one that you have read")
}
