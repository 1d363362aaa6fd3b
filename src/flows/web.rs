//! Deposits that a customer pays on a page of the wallet's, in the browser.
//!
//! The page's address is signed for minutes and carries the customer's token, so that it is made at
//! the moment when the browser comes to our short link, and kept nowhere. What the browser brings back
//! is a claim: it passed through the hands of whoever gains by it.

use secrecy::SecretString;
use url::Url;

use super::Context;
use super::capability;
use super::error::FlowError;
use super::link::{self, NoToken};
use super::settle::{Notes, settle};
use super::submit::money_call;
use super::tenant::{ProviderAccount, tenant};
use crate::domain::order::{NextAction, Order, Provider};
use crate::domain::report::{Channel, Report, Says, Standing};
use crate::domain::status::{Deposit, State};
use crate::providers::{Side, WebDeposits};
use crate::store::orders;

/// What the customer has to do to pay an order of this flow.
pub fn next_action(context: &Context, order: &Order) -> Result<NextAction, FlowError> {
    Ok(NextAction::Redirect { url: capability::pay_url(context, order)?.into() })
}

/// The wallet's page for an order, for the browser that has our short link. `None` where there is nothing to be paid any more,
/// or the customer's link to the wallet has ended or is to another account there than the order's.
///
/// # Errors
/// There is no such link, or no token of the customer now.
pub async fn pay_page(context: &Context, text: &str) -> Result<Option<SecretString>, FlowError> {
    const NO_SUCH: FlowError = FlowError::NotFound("payment link");
    let (merchant, id) = capability::open_pay(context, text).ok_or(NO_SUCH)?;
    let order = orders::by_id(&mut *context.db.get().await?, merchant, id).await?.ok_or(NO_SUCH)?;
    let account = tenant(context, merchant).await?.account(order.provider)?.clone();
    let Some(web) = &account.wallet.web_deposits else { return Err(NO_SUCH) };
    if !can_be_paid(context, &order) {
        return Ok(None);
    }
    let key = link::key_of(&order)?;
    let links = link::of_customer(context, merchant, &key.customer).await?;
    if !links.iter().any(|link| link.provider == order.provider && Some(&link.provider_user) == order.provider_user.as_ref()) {
        return Ok(None);
    }
    let token = match link::access_token(context, &account, &key, None).await? {
        Ok(token) => token,
        Err(NoToken::Missing) => return Ok(None),
        Err(NoToken::Unavailable(why)) => return Err(FlowError::ProviderUnavailable(why)),
    };
    let call = money_call(context, &order, context.clock.instant() + context.timing.provider_timeout)?;
    let payer = Side { user: order.provider_user.as_deref().unwrap_or_default(), access_token: Some(&token) };
    let page = web.pay_page(&call, payer, &capability::return_state(context, &order)).map_err(FlowError::Internal)?;
    Ok(Some(page))
}

/// Nobody has paid yet, or somebody claims that it did not work.
fn can_be_paid(context: &Context, order: &Order) -> bool {
    let in_time = order.expires_at.is_some_and(|end| context.clock.now() < end);
    let unclaimed = order.claim.as_ref().is_none_or(|claim| !claim.paid);
    in_time && unclaimed && matches!(order.state, State::Deposit(Deposit::AwaitingPayment | Deposit::Verifying))
}

/// Where a browser goes that came back from paying.
#[derive(Debug)]
pub struct Back {
    /// The merchant's page. Absent where the merchant named none.
    pub return_url: Option<Url>,
}

/// Hears what a browser brings back. `None` if its state is not one that we made.
pub async fn come_back(context: &Context, provider: Provider, state: &str, query: &str) -> Result<Option<Back>, FlowError> {
    let Some((merchant, id)) = capability::open_return(context, state) else { return Ok(None) };
    let found = orders::by_id(&mut *context.db.get().await?, merchant, id).await?;
    let Some(order) = found.filter(|order| order.provider == provider) else { return Ok(None) };
    let account = tenant(context, merchant).await?.account(provider)?.clone();
    let Some(web) = account.wallet.web_deposits.clone() else { return Ok(None) };
    hear(context, &account, &*web, order, query).await?;
    let return_url = orders::return_url(&mut *context.db.get().await?, merchant, id).await?;
    Ok(Some(Back { return_url: return_url.and_then(|text| Url::parse(&text).ok()) }))
}

async fn hear(context: &Context, account: &ProviderAccount, web: &dyn WebDeposits, order: Order, query: &str) -> Result<(), FlowError> {
    let returned = match web.read_return(query) {
        Ok(returned) => returned,
        Err(why) => {
            tracing::warn!(merchant = %order.merchant_id, trade_id = %order.trade_id, why, "a browser came back with something that cannot be read");
            return Ok(());
        }
    };
    // A browser's word that nobody paid is never proof: the customer may come back and pay until the deadline.
    let proven = account.account.policy.accept_unverified_returns && returned.record.standing == Standing::Paid;
    let report = Report { channel: Channel::Browser, proven, says: Says::Record(returned.record), evidence: Some(returned.evidence) };
    settle(context, account, order, report, Notes::default()).await?;
    Ok(())
}
