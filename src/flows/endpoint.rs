//! Endpoints: where a merchant wants to be told, what of, and signed with what.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

use super::Context;
use super::delivery::{self, Delivery};
use super::error::FlowError;
use super::page;
use crate::domain::audit::{By, Entry};
use crate::domain::delivery::{DeliveryState, EndpointState};
use crate::domain::event::{EndpointTestBody, EventBody};
use crate::domain::ids::{DeliveryId, EndpointId, EventId, MerchantId, SecretId};
use crate::domain::wanted::Wanted;
use crate::store::endpoints::{self};
pub use crate::store::endpoints::{Change, EndpointRow};
use crate::store::{deliveries, events, webhook_queue};
use crate::vault;
use crate::webhooks::{self, Secret, UrlError};

/// No merchant has more endpoints.
const MOST: i64 = 50;
/// No endpoint has more live secrets.
const MOST_SECRETS: i64 = 4;
/// What a test tells.
const TEST: &str = "webhook_endpoint.test";

/// Where the secret of an endpoint is sealed for.
pub fn secret_place(merchant: MerchantId, endpoint: EndpointId) -> String {
    format!("webhook_secrets/{merchant}/{endpoint}")
}

/// Reads the address of an endpoint: nothing is sent to what is not the merchant's to name.
pub fn check_url(context: &Context, text: &str) -> Result<Url, UrlError> {
    webhooks::check_url(text, &context.allowed)
}

/// Makes an endpoint. Gives it with its secret, which is shown this once.
pub async fn create(
    context: &Context,
    merchant: MerchantId,
    by: &By,
    url: &Url,
    wanted: &Wanted,
) -> Result<(EndpointRow, SecretString), FlowError> {
    let endpoint = EndpointId(context.clock.new_uuid());
    let (secret_id, secret, sealed) = new_secret(context, merchant, endpoint)?;
    let mut connection = context.db.get().await?;
    let new = (endpoint, url.as_str(), wanted.patterns());
    // The query of an address may hold a secret.
    let address = url.as_str().split('?').next();
    let entry = entry(context, merchant, by, endpoint, "create").after(json!({ "url": address, "events": wanted.patterns() }));
    if !endpoints::insert(&mut connection, merchant, new, (secret_id, &sealed), MOST, context.clock.now(), &entry).await? {
        return Err(FlowError::conflict("too_many_endpoints", format!("you have {MOST} endpoints; remove one first")));
    }
    drop(connection);
    Ok((get(context, merchant, endpoint).await?, secret))
}

/// What is done to an endpoint.
fn entry(context: &Context, merchant: MerchantId, by: &By, endpoint: EndpointId, verb: &str) -> Entry {
    by.does(merchant, context.clock.now(), format!("webhook_endpoint.{verb}"), ("webhook_endpoint", endpoint.to_string()))
}

fn new_secret(context: &Context, merchant: MerchantId, endpoint: EndpointId) -> Result<(SecretId, SecretString, Vec<u8>), FlowError> {
    let text = Secret::generate(&vault::random::<32>()?).reveal();
    let sealed = context.vault.seal(&secret_place(merchant, endpoint), text.as_bytes())?;
    Ok((SecretId(context.clock.new_uuid()), text.into(), sealed))
}

/// One endpoint.
pub async fn get(context: &Context, merchant: MerchantId, endpoint: EndpointId) -> Result<EndpointRow, FlowError> {
    endpoints::get(&mut *context.db.get().await?, merchant, endpoint).await?.ok_or(FlowError::NotFound("webhook endpoint"))
}

/// Endpoints, newest first, at most `limit`; and whether there are more.
pub async fn list(
    context: &Context,
    merchant: MerchantId,
    starting_after: Option<EndpointId>,
    limit: usize,
) -> Result<(Vec<EndpointRow>, bool), FlowError> {
    let found = endpoints::list(&mut *context.db.get().await?, merchant, starting_after, page::asked(limit)).await?;
    Ok(page::shown(found, limit))
}

/// Changes an endpoint. Once enabled, all that waited is due at once; once disabled, it is canceled.
pub async fn change(
    context: &Context,
    merchant: MerchantId,
    by: &By,
    endpoint: EndpointId,
    change: &Change,
) -> Result<EndpointRow, FlowError> {
    let entry = entry(context, merchant, by, endpoint, "update");
    let now = context.clock.now();
    let mut connection = context.db.get().await?;
    if !endpoints::update(&mut connection, merchant, endpoint, change, now, &entry).await? {
        return Err(FlowError::NotFound("webhook endpoint"));
    }
    match change.state {
        Some(EndpointState::Enabled) => {
            webhook_queue::hasten(&mut connection, merchant, endpoint, now).await?;
            context.wake.deliver.notify_one();
        }
        Some(EndpointState::Disabled) => _ = webhook_queue::cancel_for_disabled(&mut connection, now).await?,
        Some(EndpointState::Paused | EndpointState::Failing) | None => {}
    }
    drop(connection);
    get(context, merchant, endpoint).await
}

/// Removes an endpoint: what waits for it is canceled, its secrets are forgotten, its history stays.
pub async fn delete(context: &Context, merchant: MerchantId, by: &By, endpoint: EndpointId) -> Result<(), FlowError> {
    let entry = entry(context, merchant, by, endpoint, "delete");
    let now = context.clock.now();
    let mut connection = context.db.get().await?;
    if !endpoints::delete(&mut connection, merchant, endpoint, now, &entry).await? {
        return Err(FlowError::NotFound("webhook endpoint"));
    }
    webhook_queue::cancel_for_disabled(&mut connection, now).await?;
    Ok(())
}

/// Gives an endpoint a new secret; deliveries are signed with the ones before it, too, until `overlap` is over.
pub async fn rotate(
    context: &Context,
    merchant: MerchantId,
    by: &By,
    endpoint: EndpointId,
    overlap: Duration,
) -> Result<(EndpointRow, SecretString), FlowError> {
    let row = get(context, merchant, endpoint).await?;
    let (secret_id, secret, sealed) = new_secret(context, merchant, endpoint)?;
    let now = context.clock.now();
    let mut connection = context.db.get().await?;
    let entry = entry(context, merchant, by, endpoint, "rotate_secret");
    let entry = entry.after(json!({ "secret": secret_id.to_string(), "overlap_seconds": overlap.as_secs() }));
    let made =
        endpoints::rotate(&mut connection, merchant, endpoint, (secret_id, &sealed), (now + overlap, MOST_SECRETS), now, &entry).await?;
    match made {
        true => Ok((row, secret)),
        false => {
            let detail = format!("{MOST_SECRETS} secrets sign already; wait for the end of one, or rotate with an overlap of 0");
            Err(FlowError::conflict("too_many_secrets", detail))
        }
    }
}

/// Sends an event that tells nothing, to this endpoint alone, whatever it wants to hear of.
pub async fn test(context: &Context, merchant: MerchantId, by: &By, endpoint: EndpointId) -> Result<Delivery, FlowError> {
    let row = able(get(context, merchant, endpoint).await?)?;
    let (event, now) = (EventId(context.clock.new_uuid()), context.clock.now());
    let data = EndpointTestBody { object: "webhook_endpoint", id: EndpointId(row.endpoint_id).to_string() };
    let body = EventBody { event_type: TEST.to_owned(), timestamp: now, data, sequence: None };
    let body = body.written()?;
    let id = {
        let entry = entry(context, merchant, by, endpoint, "test").after(json!({ "event": event.to_string() }));
        let mut connection = context.db.get().await?;
        events::insert_for(&mut connection, merchant, endpoint, (event, TEST, body.get()), now, &entry).await?;
        deliveries::id_of(&mut connection, merchant, event, endpoint).await?
    };
    context.wake.deliver.notify_one();
    // It was disabled in this moment.
    let id = id.ok_or_else(disabled)?;
    delivery::get(context, merchant, DeliveryId(id)).await
}

/// What is to be sent again.
#[derive(Clone, Copy, Debug)]
pub struct Replay {
    /// Only events that were written at this time or later.
    pub since: Option<OffsetDateTime>,
    /// Only deliveries that were given up: exhausted or canceled. Else everything that the endpoint wants, had or not.
    pub only_failed: bool,
}

/// Sends past events to an endpoint again. Gives their number.
pub async fn replay(context: &Context, merchant: MerchantId, by: &By, endpoint: EndpointId, replay: Replay) -> Result<i64, FlowError> {
    able(get(context, merchant, endpoint).await?)?;
    let now = context.clock.now();
    let mut connection = context.db.get().await?;
    let failed = [DeliveryState::Exhausted, DeliveryState::Canceled];
    let all = [DeliveryState::Exhausted, DeliveryState::Canceled, DeliveryState::Delivered];
    let states: &[DeliveryState] = if replay.only_failed { &failed } else { &all };
    let handed_since = replay.since.filter(|_| !replay.only_failed).map(|since| (since, first_id(since)));
    let again = deliveries::Again { states, since: replay.since, handed_since };
    let since = replay.since.and_then(|since| since.format(&Rfc3339).ok());
    let entry = entry(context, merchant, by, endpoint, "replay");
    let entry = |count: i64| entry.after(json!({ "since": since, "only_failed": replay.only_failed, "deliveries": count }));
    let count = deliveries::replay(&mut connection, merchant, endpoint, again, now, entry).await?;
    context.wake.deliver.notify_one();
    Ok(count)
}

/// The least id that is of this time: ids begin with milliseconds.
fn first_id(since: OffsetDateTime) -> uuid::Uuid {
    let millis = since.unix_timestamp_nanos() / 1_000_000;
    let millis = u64::try_from(millis).unwrap_or_default().min((1 << 48) - 1);
    uuid::Uuid::from_u64_pair(millis << 16, 0)
}

/// An endpoint that can be sent something.
pub fn able(row: EndpointRow) -> Result<EndpointRow, FlowError> {
    if row.state == <&str>::from(EndpointState::Disabled) { Err(disabled()) } else { Ok(row) }
}

fn disabled() -> FlowError {
    FlowError::conflict("endpoint_disabled", "this endpoint is disabled; enable it first")
}
