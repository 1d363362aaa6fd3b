//! Browsers: customers who go to a wallet's page and come back.
//!
//! A browser that comes back proves nothing about money: whoever holds it can write its address. For a
//! link, the state that it carries was made by us, is good once and for minutes, and names the merchant,
//! the customer and the wallet. It does not prove that this browser is the one that was sent: the
//! merchant sends it straight to the wallet, so that we see it for the first time when it returns.

use secrecy::SecretString;
use time::{Duration, OffsetDateTime};
use url::Url;

use super::Context;
use super::error::FlowError;
use super::link;
use super::tenant::{Tenant, tenant};
use crate::domain::audit::By;
use crate::domain::ids::{CustomerId, MerchantId};
use crate::domain::order::Provider;
use crate::providers::LinkError;
use crate::store::link_requests::{self, NewRequest};
use crate::store::links::LinkKey;
use crate::vault::random_token;

/// The purpose of the keyed hash under which states are stored.
const STATE: &str = "link-state";
/// How long a browser may stay away.
const STAY: Duration = Duration::minutes(15);

/// A browser's way to a wallet.
#[derive(Debug)]
pub struct Journey {
    /// Where to send the browser.
    pub authorize_url: Url,
    /// Until when it may come back.
    pub expires_at: OffsetDateTime,
}

/// Begins a link by the customer's browser.
pub async fn begin_link(
    context: &Context,
    merchant: MerchantId,
    by: &By,
    customer: CustomerId,
    provider: Provider,
    return_url: &str,
    scope: Option<&str>,
) -> Result<Journey, FlowError> {
    let tenant = tenant(context, merchant).await?;
    let account = tenant.open_account(provider)?;
    let links = account.links()?;
    let return_url = own_page(&tenant, return_url)?;
    // Letters and digits, at most 128: what all wallets take.
    let state: String = random_token()?.chars().filter(char::is_ascii_alphanumeric).collect();
    let ours = return_address(context, provider)?;
    let authorize_url = links.authorize_url(&state, scope, &ours).map_err(|why| FlowError::field("/scope", "invalid", why))?;
    let now = context.clock.now();
    let key = LinkKey { merchant_id: merchant, customer, provider };
    let request = NewRequest {
        id: context.clock.new_uuid(),
        key: &key,
        state_hash: &context.vault.tag(STATE, state.as_bytes()),
        return_url: return_url.as_str(),
        now,
        expires_at: now + STAY,
    };
    let entry = link::entry(by, &key, "request", now);
    link_requests::insert(&mut *context.db.get().await?, &request, &entry).await?;
    Ok(Journey { authorize_url, expires_at: request.expires_at })
}

/// What a browser brought back from a page where its user was asked to agree.
#[derive(Debug)]
pub struct Agreement {
    /// What we sent with it.
    pub state: String,
    /// The code, if the user agreed.
    pub code: Option<SecretString>,
}

/// Ends a link by the customer's browser. Gives where the browser goes now; `None` if it is not one that we sent.
pub async fn end_link(context: &Context, provider: Provider, agreement: Agreement, request_id: String) -> Result<Option<Url>, FlowError> {
    let hashes: Vec<Vec<u8>> = context.vault.tags(STATE, agreement.state.as_bytes()).iter().map(|hash| hash.to_vec()).collect();
    let now = context.clock.now();
    let Some((key, return_url)) = link_requests::take(&mut *context.db.get().await?, provider, &hashes, now).await? else {
        return Ok(None);
    };
    let result = match &agreement.code {
        None => "denied",
        Some(code) => linked(context, &key, code, request_id).await?,
    };
    metrics::counter!("tillgate_links_total", "provider" => provider.to_string(), "result" => result).increment(1);
    let mut page = Url::parse(&return_url).map_err(|error| FlowError::Internal(error.to_string()))?;
    page.query_pairs_mut().append_pair("link", result);
    Ok(Some(page))
}

async fn linked(context: &Context, key: &LinkKey, code: &SecretString, request_id: String) -> Result<&'static str, FlowError> {
    let (merchant, provider) = (key.merchant_id, key.provider);
    let tenant = tenant(context, merchant).await?;
    let account = tenant.account(provider)?;
    Ok(match link::exchange(context, account, &By::customer(&key.customer, request_id), key, code).await {
        Ok(Ok(())) => "ok",
        Ok(Err(error)) => {
            if let LinkError::Misconfigured(why) = &error {
                tracing::error!(%merchant, %provider, why, "the provider refuses our credentials or our clock");
            } else {
                tracing::warn!(%merchant, %provider, %error, "a browser's link could not be made");
            }
            "failed"
        }
        Err(FlowError::Conflict { code, .. }) => {
            tracing::warn!(%merchant, %provider, code, "a browser's link could not be made");
            "failed"
        }
        Err(other) => return Err(other),
    })
}

/// Where wallets send browsers back to, unless the account is registered with an address of its own.
fn return_address(context: &Context, provider: Provider) -> Result<Url, FlowError> {
    context.public_url.join(&format!("oauth/{provider}/return")).map_err(|error| FlowError::Internal(error.to_string()))
}

/// An address of the merchant's own, by its registered origins.
pub fn own_page(tenant: &Tenant, text: &str) -> Result<Url, FlowError> {
    let refused = |why: &str| FlowError::field("/return_url", "return_url_not_allowed", why);
    let strange = |character: char| character.is_control() || character.is_whitespace() || character == '\\';
    let url = Url::parse(text).ok().filter(|_| text.len() <= 2048 && !text.chars().any(strange));
    // As browsers read them, `https:host` and `https:/host` are addresses, too; nobody means one by that.
    let url = url.filter(|url| {
        matches!(url.scheme(), "http" | "https") && text.get(url.scheme().len()..).is_some_and(|rest| rest.starts_with("://"))
    });
    let url = url.ok_or_else(|| refused("must be an http or https address of at most 2048 bytes"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("must not contain a user name or a password"));
    }
    let own = |origin: &String| Url::parse(origin).is_ok_and(|origin| origin.origin() == url.origin());
    if !tenant.return_origins.iter().any(own) {
        return Err(refused("must be at one of the merchant's registered origins (return_origins)"));
    }
    Ok(url)
}
