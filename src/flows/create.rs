//! Creating orders: the trade id is the idempotency key, for ever.

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Context;
use super::coins;
use super::error::FlowError;
use super::link::{self, NoToken};
use super::submit;
use super::tenant::{ProviderAccount, tenant};
use crate::domain::account::{FomoFlow, Wallet};
use crate::domain::agenda::{Task, Work};
use crate::domain::event::EventBody;
use crate::domain::ids::{AttemptId, CustomerId, EventId, MerchantId, OrderId, TradeId};
use crate::domain::money::Amount;
use crate::domain::order::{Destination, Kind, Order, Provider};
use crate::domain::recovery::Progress;
use crate::domain::status::State;
use crate::store::links::TokenRow;
use crate::store::orders::{self, Created, NewOrder};

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
pub async fn create(context: &Context, merchant: MerchantId, wish: Wish) -> Result<Granted, FlowError> {
    let fingerprint = fingerprint(&wish);
    match try_create(context, merchant, &wish, &fingerprint).await {
        Err(refusal @ (FlowError::Invalid(_) | FlowError::ProviderUnavailable(_))) => {
            // What was granted once stays granted, also where it would be refused today.
            replay(context, merchant, &wish.trade_id, &fingerprint).await?.ok_or(refusal)
        }
        other => other,
    }
}

async fn try_create(context: &Context, merchant: MerchantId, wish: &Wish, fingerprint: &[u8]) -> Result<Granted, FlowError> {
    let tenant = tenant(context, merchant).await?;
    let account = tenant.open_account(wish.provider)?;
    check_way(account, wish)?;
    let coin = coins::for_order(context, merchant, account, &wish.coin, wish.amount).await?;
    let order = draft(context, merchant, wish, coin);
    let instant = context.clock.instant();
    let attempt = (wish.kind == Kind::Deposit).then(|| (AttemptId(context.clock.new_uuid()), order.created_at + context.timing.lease));
    match write(context, account, &order, fingerprint, attempt).await? {
        None => Err(FlowError::field(
            "/customer",
            "link_required",
            "the customer has no active link to this wallet; POST /v1/customers/{customer}/links makes one",
        )),
        Some(created) if !created.inserted => {
            let replayed = replay(context, merchant, &wish.trade_id, fingerprint).await?;
            replayed.ok_or_else(|| FlowError::Internal("an order has disappeared".to_owned()))
        }
        Some(created) => match attempt {
            Some((attempt, _)) => {
                let order = open_deposit(context, account, order, attempt, instant + context.timing.lease, created.link).await?;
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
    if matches!(&account.account.wallet, Wallet::Fomo(fomo) if fomo.flow == FomoFlow::Web) {
        return Err(FlowError::field(
            "/provider",
            "flow_not_supported",
            "the account is set to FOMO's web flow; only the app flow takes orders",
        ));
    }
    if matches!(&account.account.wallet, Wallet::Hicoin(_)) {
        return Err(FlowError::field("/provider", "flow_not_supported", "orders at Hicoin are not taken yet; its customers are"));
    }
    match (&wish.destination, wish.provider) {
        (None, _) | (Some(Destination::FomoUser { .. }), Provider::Fomo) => Ok(()),
        (Some(_), provider) => Err(FlowError::field(
            "/destination/type",
            "destination_not_supported",
            format!("{provider} does not pay to such a destination"),
        )),
    }
}

fn draft(context: &Context, merchant: MerchantId, wish: &Wish, coin: crate::domain::coin::Coin) -> Order {
    let now = context.clock.now();
    let expires_at = (wish.kind == Kind::Deposit).then(|| now + wish.expires_in.unwrap_or(context.timing.deposit_ttl));
    Order {
        merchant_id: merchant,
        id: OrderId(context.clock.new_uuid()),
        trade_id: wish.trade_id.clone(),
        kind: wish.kind,
        provider: wish.provider,
        state: State::first(wish.kind),
        sequence: 1,
        coin: coin.coin,
        provider_coin_id: coin.provider_coin_id,
        decimals: coin.decimals,
        amount: wish.amount,
        amount_received: Amount::ZERO,
        amount_confirmed: Amount::ZERO,
        fee: None,
        late: false,
        customer: wish.customer.clone(),
        provider_user: wish.destination.as_ref().and_then(Destination::provider_user).map(str::to_owned),
        destination: wish.destination.clone(),
        next_action: None,
        provider_reference: None,
        txid: None,
        confirmations: None,
        failure: None,
        claim: None,
        doubts: 0,
        doubt_since: None,
        is_final: false,
        final_at: None,
        expires_at,
        metadata: wish.metadata.clone(),
        created_at: now,
        updated_at: now,
    }
}

async fn write(
    context: &Context,
    account: &ProviderAccount,
    order: &Order,
    fingerprint: &[u8],
    attempt: Option<(AttemptId, time::OffsetDateTime)>,
) -> Result<Option<Created>, FlowError> {
    let event = EventBody::of(order);
    let body = serde_json::to_string(&event).map_err(|error| FlowError::Internal(error.to_string()))?;
    let task = Task::next(order, account.wallet.capabilities, Progress::default(), &context.timing, order.created_at)
        .unwrap_or(Task { work: Work::Submit, due_at: order.created_at });
    let new = NewOrder {
        order,
        fingerprint,
        event_id: EventId(context.clock.new_uuid()),
        event: (&event.event_type, &body),
        task,
        attempt,
        needs_link: order.kind == Kind::Deposit,
    };
    Ok(orders::create(&mut *context.db.get().await?, &new).await?)
}

/// Opens a deposit at the provider. Whatever goes wrong from here on, the order stands and the
/// workers finish it.
async fn open_deposit(
    context: &Context,
    account: &ProviderAccount,
    order: Order,
    attempt: AttemptId,
    deadline: std::time::Instant,
    row: Option<TokenRow>,
) -> Result<Order, FlowError> {
    let mut order = order;
    order.provider_user = row.as_ref().map(|row| row.provider_user.clone());
    let key = link::key_of(&order)?;
    match link::access_token(context, account, &key, row).await? {
        Ok(token) => submit::offer(context, account, order, attempt, deadline, &token, Progress::default()).await,
        Err(why) => submit::without_token(context, account, order, attempt, matches!(why, NoToken::Missing)).await,
    }
}

/// The order that was created under this trade id, if the wish was the same.
async fn replay(context: &Context, merchant: MerchantId, trade_id: &TradeId, fingerprint: &[u8]) -> Result<Option<Granted>, FlowError> {
    match orders::by_trade_id(&mut *context.db.get().await?, merchant, trade_id).await? {
        None => Ok(None),
        Some((order, earlier)) if earlier == fingerprint => Ok(Some(Granted { order, replayed: true })),
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
