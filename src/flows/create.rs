//! Creating orders: the trade id is the idempotency key, for ever.

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Context;
use super::browser::own_page;
use super::coins;
use super::error::FlowError;
use super::link::{self, NoToken};
use super::submit;
use super::tenant::{ProviderAccount, Tenant, tenant};
use super::web;
use crate::domain::agenda::{Task, Work};
use crate::domain::audit::By;
use crate::domain::coin::Coin;
use crate::domain::event::EventBody;
use crate::domain::ids::{AttemptId, CustomerId, EventId, MerchantId, OrderId, TradeId};
use crate::domain::money::Amount;
use crate::domain::order::{Birth, Destination, Kind, NextAction, Order, Provider};
use crate::domain::recovery::Progress;
use crate::faults::{Bug, Point, planted, point};
use crate::store::orders::{self, Created, Need, NewOrder};
use crate::store::{customers, links};

/// What a merchant asks for, read and checked as far as that goes without the provider.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Deposit or payout.
    pub kind: Kind,
    /// The merchant's id of it.
    pub trade_id: TradeId,
    /// Who carries it out.
    pub provider: Provider,
    /// The coin, by name or by the provider's id.
    pub coin: String,
    /// How much.
    pub amount: Amount,
    /// The merchant's customer; deposits have one.
    pub customer: Option<CustomerId>,
    /// Where a payout goes.
    pub destination: Option<Destination>,
    /// How long a deposit waits.
    pub expires_in: Option<Duration>,
    /// Where the customer's browser goes afterwards.
    pub return_url: Option<String>,
    /// The merchant's own notes.
    pub metadata: Option<Value>,
}

/// An order that was asked for.
#[derive(Debug)]
pub struct Granted {
    /// The order, as it is now.
    pub order: Order,
    /// It was there before: the same was asked for earlier.
    pub replayed: bool,
}

/// Creates the order, or finds the one that was created for the same wish. A deposit is opened at
/// the provider before this returns, if the provider answers in time; a payout never waits for it.
pub async fn create(context: &Context, merchant: MerchantId, by: &By, wish: Wish) -> Result<Granted, FlowError> {
    let fingerprint = fingerprint(&wish);
    match try_create(context, merchant, by, &wish, &fingerprint).await {
        Err(refusal @ (FlowError::Invalid(_) | FlowError::ProviderUnavailable(_))) => {
            // What was granted once stays granted, also where it would be refused today.
            Box::pin(replay(context, merchant, &wish.trade_id, &fingerprint)).await?.ok_or(refusal)
        }
        other => other,
    }
}

async fn try_create(context: &Context, merchant: MerchantId, by: &By, wish: &Wish, fingerprint: &[u8]) -> Result<Granted, FlowError> {
    let tenant = tenant(context, merchant).await?;
    let account = tenant.open_account(wish.provider)?;
    check_way(account, wish)?;
    check_browser(context, merchant, &tenant, account, wish).await?;
    let coin = coins::for_order(context, merchant, account, &wish.coin, wish.amount).await?;
    let sides = sides(context, merchant, account, wish).await?;
    let order = draft(context, merchant, account, wish, coin, sides);
    let instant = context.clock.instant();
    let attempt = (wish.kind == Kind::Deposit).then(|| (AttemptId(context.clock.new_uuid()), order.created_at + context.timing.lease));
    let written = write(context, account, by, &order, wish.return_url.as_deref(), fingerprint, attempt).await;
    if written.is_err() && planted(Bug::CreateIsNotWritten) {
        return Ok(Granted { order, replayed: false });
    }
    match written? {
        None => Err(lacking(account)),
        Some(created) if !created.inserted => {
            let replayed = Box::pin(replay(context, merchant, &wish.trade_id, fingerprint)).await?;
            replayed.ok_or_else(|| FlowError::Internal("an order has disappeared".to_owned()))
        }
        Some(created) => match attempt {
            Some((attempt, _)) => {
                // Here the customer's wallet is waited for: that much memory, and no more of the rest.
                let order = Box::pin(open_deposit(context, account, order, attempt, instant + context.timing.lease, created)).await?;
                Ok(Granted { order, replayed: false })
            }
            None => {
                context.wake.submit.notify_one();
                Ok(Granted { order, replayed: false })
            }
        },
    }
}

/// Says no to ways that this account or provider does not have.
fn check_way(account: &ProviderAccount, wish: &Wish) -> Result<(), FlowError> {
    let ability = match (&wish.destination, wish.provider) {
        (None, _) => true,
        (Some(Destination::FomoUser { .. }), provider) => provider == Provider::Fomo,
        (Some(Destination::HicoinUser { .. }), provider) => provider == Provider::Hicoin,
        (Some(Destination::Address { .. }), _) => account.wallet.address_payouts.is_some(),
        (Some(Destination::Customer { .. }), _) => wish.kind == Kind::Transfer,
    };
    if !ability {
        let text = format!("{} does not pay to such a destination", wish.provider);
        return Err(FlowError::field("/destination/type", "destination_not_supported", text));
    }
    if wish.kind == Kind::Transfer && account.wallet.transfers.is_none() {
        let text = format!("{} moves nothing between customers", wish.provider);
        return Err(FlowError::field("/provider", "transfers_not_supported", text));
    }
    Ok(())
}

/// Says no to what a flow by browser cannot do: come back to a foreign page, or pay somebody whose token we do not have.
async fn check_browser(
    context: &Context,
    merchant: MerchantId,
    tenant: &Tenant,
    account: &ProviderAccount,
    wish: &Wish,
) -> Result<(), FlowError> {
    if account.wallet.web_deposits.is_some()
        && let Some(return_url) = &wish.return_url
    {
        own_page(tenant, return_url)?;
    }
    if account.wallet.payouts_need_token
        && let Some(user) = wish.destination.as_ref().and_then(Destination::provider_user)
    {
        let linked = async { links::customer_of(&mut *context.db.get().await?, merchant, wish.provider, user).await };
        // Rare: not in the memory of every order.
        let linked = Box::pin(linked).await?;
        linked.ok_or_else(|| {
            let text = "in the flow for browsers, payouts go to linked users only; POST /v1/customers/{customer}/links makes a link";
            FlowError::field("/destination/user_id", "link_required", text)
        })?;
    }
    Ok(())
}

/// The users at the provider whom the money of a wish is taken from, and who get it; as far as they are known beforehand.
async fn sides(
    context: &Context,
    merchant: MerchantId,
    account: &ProviderAccount,
    wish: &Wish,
) -> Result<(Option<String>, Option<String>), FlowError> {
    match (&wish.destination, &account.wallet.address_payouts) {
        (Some(Destination::Customer { customer }), _) => {
            let from = wish.customer.clone().ok_or_else(|| FlowError::Internal("a transfer without a customer".to_owned()))?;
            let to = CustomerId::parse(customer).map_err(|error| FlowError::field("/to_customer", "invalid", error.to_string()))?;
            let users = async {
                let mut connection = context.db.get().await?;
                let source = customers::user(&mut connection, merchant, &from, wish.provider).await?;
                Ok::<_, FlowError>((source, customers::user(&mut connection, merchant, &to, wish.provider).await?))
            };
            let (source, user) = Box::pin(users).await?;
            let registered = |found: Option<String>, pointer| found.ok_or_else(|| not_registered(pointer));
            Ok((Some(registered(source, "/from_customer")?), Some(registered(user, "/to_customer")?)))
        }
        (Some(Destination::Address { .. }), Some(port)) => {
            let source = port.source().map_err(|why| FlowError::field("/provider", "payout_source_missing", why))?;
            Ok((Some(source), None))
        }
        (destination, _) => Ok((None, destination.as_ref().and_then(Destination::provider_user).map(str::to_owned))),
    }
}

fn not_registered(pointer: &'static str) -> FlowError {
    FlowError::field(pointer, "customer_not_registered", "the wallet keeps no account for this customer; POST /v1/customers registers one")
}

/// What a deposit's customer has to have at the provider.
fn need(account: &ProviderAccount, kind: Kind) -> Need {
    match kind {
        Kind::Payout | Kind::Transfer => Need::Nothing,
        Kind::Deposit if account.wallet.users.is_some() => Need::User,
        Kind::Deposit => Need::Link,
    }
}

fn lacking(account: &ProviderAccount) -> FlowError {
    match need(account, Kind::Deposit) {
        Need::User => not_registered("/customer"),
        Need::Link | Need::Nothing => FlowError::field(
            "/customer",
            "link_required",
            "the customer has no active link to this wallet; POST /v1/customers/{customer}/links makes one",
        ),
    }
}

fn draft(
    context: &Context,
    merchant: MerchantId,
    account: &ProviderAccount,
    wish: &Wish,
    coin: Coin,
    (source_user, provider_user): (Option<String>, Option<String>),
) -> Order {
    let now = context.clock.now();
    let expires_at = (wish.kind == Kind::Deposit).then(|| now + wish.expires_in.unwrap_or(context.timing.deposit_ttl));
    let birth = Birth {
        merchant_id: merchant,
        id: OrderId(context.clock.new_uuid_of(now)),
        trade_id: wish.trade_id.clone(),
        kind: wish.kind,
        provider: wish.provider,
        coin: coin.coin,
        provider_coin_id: coin.provider_coin_id,
        decimals: coin.decimals,
        amount: wish.amount,
        at: now,
    };
    let tolerance = match wish.kind {
        Kind::Deposit => wish.amount.percent(account.account.policy.tolerance_percent, coin.decimals),
        Kind::Payout | Kind::Transfer => Amount::ZERO,
    };
    Order {
        tolerance,
        customer: wish.customer.clone(),
        provider_user,
        source_user,
        destination: wish.destination.clone(),
        expires_at,
        metadata: wish.metadata.clone(),
        ..Order::new(birth)
    }
}

async fn write(
    context: &Context,
    account: &ProviderAccount,
    by: &By,
    order: &Order,
    return_url: Option<&str>,
    fingerprint: &[u8],
    attempt: Option<(AttemptId, time::OffsetDateTime)>,
) -> Result<Option<Created>, FlowError> {
    let event = EventBody::of(order);
    let body = event.written()?;
    let task = Task::next(order, account.wallet.capabilities, Progress::default(), &context.timing, order.created_at)
        .unwrap_or(Task { work: Work::Submit, due_at: order.created_at });
    let new = NewOrder {
        order,
        fingerprint,
        event_id: EventId(context.clock.new_uuid()),
        event: (&event.event_type, &body),
        reason: &format!("the merchant asked for it, by {}", by.label()),
        task,
        attempt,
        return_url,
        needs: need(account, order.kind),
    };
    point(Point::CreateWriting);
    let created = orders::create(&context.db, &new).await?;
    point(Point::CreateWritten);
    context.wake.deliver.notify_one();
    Ok(created)
}

/// Opens a deposit at the provider. Whatever goes wrong from here on, the order stands and the
/// workers finish it.
async fn open_deposit(
    context: &Context,
    account: &ProviderAccount,
    order: Order,
    attempt: AttemptId,
    deadline: std::time::Instant,
    created: Created,
) -> Result<Order, FlowError> {
    let mut order = order;
    if let Some(user) = created.user {
        order.provider_user = Some(user);
        return match created.address {
            Some(address) => {
                let next_action = NextAction::SendToAddress { address, coin: order.coin.clone(), amount: order.amount, memo: None };
                submit::offered_before(context, account, order, attempt, next_action).await
            }
            None => submit::offer(context, account, order, attempt, deadline, None, Progress::default()).await,
        };
    }
    let row = created.link;
    order.provider_user = row.as_ref().map(|row| row.provider_user.clone());
    if account.wallet.web_deposits.is_some() {
        let next_action = web::next_action(context, &order)?;
        return submit::offered_before(context, account, order, attempt, next_action).await;
    }
    let key = link::key_of(&order)?;
    match link::access_token(context, account, &key, row).await? {
        Ok(token) => submit::offer(context, account, order, attempt, deadline, Some(&token), Progress::default()).await,
        Err(why) => submit::without_token(context, account, order, attempt, matches!(why, NoToken::Missing)).await,
    }
}

/// The order that was created under this trade id, if the wish was the same.
async fn replay(context: &Context, merchant: MerchantId, trade_id: &TradeId, fingerprint: &[u8]) -> Result<Option<Granted>, FlowError> {
    match orders::by_trade_id(&mut *context.db.get().await?, merchant, trade_id).await? {
        None => Ok(None),
        Some((order, earlier)) if earlier == fingerprint || planted(Bug::FingerprintIsNotCompared) => {
            Ok(Some(Granted { order, replayed: true }))
        }
        Some(_) => {
            Err(FlowError::conflict("trade_id_conflict", "this trade_id was used for something else; a new order needs a new trade_id"))
        }
    }
}

/// SHA-256 of what was asked, in one form: `1.50` and `1.5` are the same wish.
fn fingerprint(wish: &Wish) -> [u8; 32] {
    let document = json!({
        "kind": wish.kind,
        "provider": wish.provider,
        "coin": wish.coin,
        "amount": wish.amount,
        "customer": wish.customer,
        "destination": wish.destination,
        "expires_in": wish.expires_in.map(|life| life.as_secs()),
        "return_url": wish.return_url,
        "metadata": wish.metadata,
    });
    Sha256::digest(document.to_string()).into()
}

#[cfg(test)]
mod tests;
