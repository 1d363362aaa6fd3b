//! Deliveries: what an endpoint was told, what it answered, and telling it again.

use std::collections::HashMap;

use serde_json::json;
use uuid::Uuid;

use super::Context;
use super::endpoint::{self, able};
use super::error::FlowError;
use super::page;
use crate::domain::audit::By;
use crate::domain::delivery::DeliveryState;
use crate::domain::ids::{DeliveryId, EndpointId, MerchantId, OrderId};
pub use crate::store::deliveries::{AttemptRow, DeliveryRow, Filter};
use crate::store::{deliveries, webhook_queue};

/// A delivery with its tries.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The delivery.
    pub row: DeliveryRow,
    /// Its tries, first to last.
    pub attempts: Vec<AttemptRow>,
}

/// Deliveries, newest first, at most `limit`; and whether there are more.
pub async fn list(context: &Context, merchant: MerchantId, filter: &Filter, limit: usize) -> Result<(Vec<Delivery>, bool), FlowError> {
    let found = deliveries::list(&mut *context.db.get().await?, merchant, filter, page::asked(limit)).await?;
    let (found, more) = page::shown(found, limit);
    Ok((with_attempts(context, merchant, found).await?, more))
}

/// One delivery.
pub async fn get(context: &Context, merchant: MerchantId, id: DeliveryId) -> Result<Delivery, FlowError> {
    let row = deliveries::get(&mut *context.db.get().await?, merchant, id).await?.ok_or(FlowError::NotFound("webhook delivery"))?;
    let attempts = deliveries::attempts(&mut *context.db.get().await?, merchant, &[id.0]).await?;
    Ok(Delivery { row, attempts })
}

/// The deliveries of an order's events, first to last.
pub async fn of_order(context: &Context, merchant: MerchantId, order: OrderId) -> Result<Vec<Delivery>, FlowError> {
    let found = deliveries::of_order(&mut *context.db.get().await?, merchant, order).await?;
    with_attempts(context, merchant, found).await
}

async fn with_attempts(context: &Context, merchant: MerchantId, rows: Vec<DeliveryRow>) -> Result<Vec<Delivery>, FlowError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = rows.iter().map(|row| row.delivery_id).collect();
    let mut attempts: HashMap<Uuid, Vec<AttemptRow>> = HashMap::new();
    for attempt in deliveries::attempts(&mut *context.db.get().await?, merchant, &ids).await? {
        attempts.entry(attempt.delivery_id).or_default().push(attempt);
    }
    let whole = |row: DeliveryRow| Delivery { attempts: attempts.remove(&row.delivery_id).unwrap_or_default(), row };
    Ok(rows.into_iter().map(whole).collect())
}

/// Sends a delivery again, also one that the endpoint has already. What is on its way is due at once.
pub async fn resend(context: &Context, merchant: MerchantId, by: &By, id: DeliveryId) -> Result<Delivery, FlowError> {
    let endpoint = EndpointId(get(context, merchant, id).await?.row.endpoint_id);
    // One that was removed is not found.
    able(endpoint::get(context, merchant, endpoint).await?)?;
    let now = context.clock.now();
    let finished = [DeliveryState::Delivered, DeliveryState::Exhausted, DeliveryState::Canceled];
    let mut connection = context.db.get().await?;
    let entry = by.does(merchant, now, "webhook_delivery.resend", ("webhook_delivery", id.to_string()));
    let entry = entry.after(json!({ "endpoint": endpoint.to_string() }));
    if !deliveries::resend(&mut connection, merchant, (endpoint, id), &finished, now, &entry).await? {
        webhook_queue::hasten_one(&mut connection, merchant, id, now, &entry).await?;
    }
    drop(connection);
    context.wake.deliver.notify_one();
    get(context, merchant, id).await
}
