//! The event feed: the same that the webhooks tell, to be read at any time, in an order that never changes.

use super::Context;
use super::error::FlowError;
use super::page;
use crate::domain::ids::{EventId, MerchantId};
use crate::domain::wanted::Wanted;
use crate::store::events;
pub use crate::store::events::EventRow;

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
        None => events::start(&mut connection).await?,
        Some(event) => match events::place_of(&mut connection, merchant, event).await? {
            Some(place) => place,
            None if events::was_dropped(&mut connection, event).await? => return Err(removed()),
            None => return Err(unknown()),
        },
    };
    let found = events::after(&mut connection, merchant, &place, wanted.map(Wanted::patterns), page::asked(limit)).await?;
    Ok(page::shown(found, limit))
}

/// What was behind it is not all there any more, and nobody can say what the reader has missed.
fn removed() -> FlowError {
    FlowError::field(
        "starting_after",
        "event_removed",
        "events of that time were removed for their age, and you may have missed some: begin again without starting_after, which gives \
         the oldest that are kept, and read the orders themselves for what was before",
    )
}

/// Going on from anywhere else would skip something.
fn unknown() -> FlowError {
    FlowError::field("starting_after", "event_unknown", "there is no such event; give the id of the last one that you have read")
}
