//! Callbacks: what a provider (or anybody who has the address) tells us of an order.
//!
//! The raw input is stored before the provider gets its 200, whether it is believed or not. A
//! callback proves nothing by itself: its address names the order, every field must agree with the
//! order, and where a query can confirm it, the query decides.

use std::net::IpAddr;

use sha2::{Digest, Sha256};

use super::Context;
use super::capability;
use super::error::FlowError;
use super::look;
use super::settle::{Notes, settle};
use super::tenant::{ProviderAccount, tenant};
use crate::domain::order::{Kind, Order, Provider};
use crate::domain::report::{Channel, Evidence, ProviderRecord, Report, Says, Standing};
use crate::domain::status::{Deposit, Refusal, State};
use crate::faults::{Bug, Point, planted, point};
use crate::store::{orders, timeline};

/// What came in.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The body, as it came.
    pub body: Vec<u8>,
    /// What it says it is.
    pub content_type: String,
    /// Where it came from, as far as we can see.
    pub source: Option<IpAddr>,
}

/// Stores and hears a callback. An error means that it is not stored and should be sent again; an
/// address that we did not make is not found, whatever is wrong with it.
pub async fn receive(context: &Context, provider: Provider, capability: &str, incoming: Incoming) -> Result<(), FlowError> {
    const NO_SUCH: FlowError = FlowError::NotFound("callback address");
    point(Point::CallbackReceived);
    let (merchant, order) = capability::open(context, capability).ok_or(NO_SUCH)?;
    let mut connection = context.db.get().await?;
    let order = orders::by_id(&mut connection, merchant, order).await?;
    connection.done();
    let order = order.filter(|order| order.provider == provider).ok_or(NO_SUCH)?;
    let tenant = tenant(context, merchant).await?;
    let account = tenant.account(provider)?;
    let callbacks = account.wallet.callbacks.as_ref().ok_or(NO_SUCH)?;
    let evidence = Evidence { raw: incoming.body, source: incoming.source.map(|address| address.to_string()) };
    let read = if account.account.allows_callbacks_from(incoming.source) {
        callbacks.read(&evidence.raw, &incoming.content_type).and_then(|record| complete(record, order.kind))
    } else {
        Err("it came from an address that is not on the account's list".to_owned())
    };
    metrics::counter!("tillgate_callbacks_total", "provider" => provider.to_string(), "read" => if read.is_ok() { "ok" } else { "no" })
        .increment(1);
    match read {
        Ok(record) => hear(context, account, order, record, evidence).await,
        Err(why) => keep(context, account, order, why, evidence).await,
    }
}

/// Says no to a callback that leaves out what has to agree with the order.
fn complete(record: ProviderRecord, kind: Kind) -> Result<ProviderRecord, String> {
    let said = [
        ("trade_id", record.trade_id.is_some()),
        ("the provider's id of the movement", record.reference.is_some()),
        ("coin", record.coin.is_some()),
        ("amount", record.amount.is_some()),
        ("direction", record.direction.is_some()),
        ("user", record.user.is_some() || kind == Kind::Deposit),
    ];
    match said.iter().find(|(_, there)| !there) {
        Some((name, _)) => Err(format!("it does not say: {name}")),
        None => Ok(record),
    }
}

/// Takes a callback that can be read to the order.
async fn hear(
    context: &Context,
    account: &ProviderAccount,
    order: Order,
    mut record: ProviderRecord,
    evidence: Evidence,
) -> Result<(), FlowError> {
    if planted(Bug::AmountIsNotCompared) {
        record.amount = Some(order.amount);
    }
    let proven = match order.kind {
        Kind::Deposit => !account.account.policy.confirm_by_query || planted(Bug::CallbackIsBelieved),
        // There is no query for payouts that always works: the address and the agreement of every
        // field with the order are the best proof to be had.
        Kind::Payout | Kind::Transfer => true,
    };
    let claims_money = record.standing == Standing::Paid;
    let report = Report { channel: Channel::Callback, proven, says: Says::Record(record), evidence: Some(evidence) };
    let settled = settle(context, account, order, report.clone(), Notes::default()).await?;
    point(Point::CallbackStored);
    if settled.order.state == State::Deposit(Deposit::Verifying) {
        context.wake.look.notify_one();
    }
    if settled.refusal == Some(Refusal::TooLate) && claims_money && !proven {
        return Box::pin(after_the_end(context, account, settled.order, report)).await;
    }
    Ok(())
}

/// Money for a deposit that is final: nothing waits for the proof any more, so that it is looked for now.
async fn after_the_end(context: &Context, account: &ProviderAccount, order: Order, report: Report) -> Result<(), FlowError> {
    if look::can_ask(context, account, &order).await? && order.provider_reference.is_some() {
        if !was_asked(context, &order, &report).await? {
            look::refresh(context, order).await?;
        }
        return Ok(());
    }
    settle(context, account, order, Report { proven: true, ..report }, Notes::default()).await?;
    Ok(())
}

/// Whether the provider has told of this order since the callback came first: a repetition asks
/// nothing again. Where it could not tell, the callback was not answered 200, and comes for that.
async fn was_asked(context: &Context, order: &Order, report: &Report) -> Result<bool, FlowError> {
    let digest = report.evidence.as_ref().map(|evidence| Sha256::digest(&evidence.raw).to_vec());
    let reports = timeline::reports(&mut *context.db.get().await?, order.merchant_id, order.id).await?;
    let since = reports.iter().skip_while(|row| row.channel != "callback" || Some(&row.digest) != digest.as_ref());
    Ok(since.into_iter().any(|row| row.channel == "lookup"))
}

/// Stores a callback that cannot be read, or must not be believed.
async fn keep(context: &Context, account: &ProviderAccount, order: Order, why: String, evidence: Evidence) -> Result<(), FlowError> {
    tracing::warn!(merchant = %order.merchant_id, trade_id = %order.trade_id, why, "a callback is stored and not believed");
    let report = Report { channel: Channel::Callback, proven: false, says: Says::Unreadable(why), evidence: Some(evidence) };
    settle(context, account, order, report, Notes::default()).await?;
    Ok(())
}
