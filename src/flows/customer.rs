//! Customers: the accounts that wallets keep for them, what they own there, and where they pay in.
//!
//! A customer is registered with a contact, which goes to the providers and is not kept: a keyed hash
//! of it tells whether a later request names the same one.

use secrecy::ExposeSecret;
use serde_json::json;

use super::Context;
use super::coins;
use super::error::FlowError;
use super::tenant::{ProviderAccount, Tenant, no_users, tenant};
use crate::domain::audit::By;
use crate::domain::coin::{self, Coin};
use crate::domain::ids::{CustomerId, MerchantId};
use crate::domain::order::Provider;
use crate::faults::{Point, point};
use crate::providers::AskError;
pub use crate::providers::{Balance, Contact};
use crate::store::customers::{self, NewUser, Registration};
pub use crate::store::customers::{AddressRow, CustomerRow, UserRow};

/// What contacts are hashed for.
const CONTACT: &str = "customer-contact";

/// Registers a customer at every provider that keeps accounts for customers and does not know this one yet.
/// Gives the customer, and whether it was all there before.
pub async fn register(
    context: &Context,
    merchant: MerchantId,
    by: &By,
    customer: &CustomerId,
    contact: Option<&Contact>,
) -> Result<(CustomerRow, bool), FlowError> {
    let tenant = tenant(context, merchant).await?;
    let known = customers::customer(&mut *context.db.get().await?, merchant, customer).await?;
    if let (Some(known), Some(contact)) = (&known, contact) {
        let same = context.vault.verify(CONTACT, &message(merchant, customer, contact), &known.contact_tag);
        same.then_some(()).ok_or_else(other_contact)?;
    }
    let missing = missing(&tenant, known.as_ref())?;
    if let (Some(known), true) = (known, missing.is_empty()) {
        return Ok((known, true));
    }
    let contact = contact.ok_or_else(|| {
        FlowError::field("/mobile", "contact_required", "or /email must be given: the wallet registers a new customer by one of them")
    })?;
    let mut replayed = true;
    for account in missing {
        replayed &= !register_at(context, merchant, by, customer, contact, account).await?;
    }
    Ok((of(context, merchant, customer).await?, replayed))
}

/// A customer with its accounts.
pub async fn of(context: &Context, merchant: MerchantId, customer: &CustomerId) -> Result<CustomerRow, FlowError> {
    let found = customers::customer(&mut *context.db.get().await?, merchant, customer).await?;
    found.ok_or(FlowError::NotFound("customer; POST /v1/customers registers one"))
}

/// The accounts where the customer is to be registered. A closed account keeps the customers that it has.
fn missing<'a>(tenant: &'a Tenant, known: Option<&CustomerRow>) -> Result<Vec<&'a ProviderAccount>, FlowError> {
    let is_known = |provider| known.is_some_and(|known| known.users.iter().any(|user| user.provider == provider));
    let missing: Vec<_> = tenant.with_users().filter(|account| !account.disabled && !is_known(account.provider())).collect();
    if known.is_none() && missing.is_empty() {
        let closed = tenant.with_users().next().ok_or_else(no_users)?;
        tenant.open_account(closed.provider())?;
    }
    Ok(missing)
}

/// Asks one provider, and writes what it answered. `false` if another request was faster.
async fn register_at(
    context: &Context,
    merchant: MerchantId,
    by: &By,
    customer: &CustomerId,
    contact: &Contact,
    account: &ProviderAccount,
) -> Result<bool, FlowError> {
    let pointer = match contact {
        Contact::Mobile { .. } => "/mobile",
        Contact::Email(_) => "/email",
    };
    let provider = account.provider();
    let user = account.users()?.register(contact).await.map_err(|error| refused(error, merchant, provider, pointer))?;
    point(Point::CustomerRegistered);
    let contact_tags = context.vault.tags(CONTACT, &message(merchant, customer, contact));
    let new = NewUser { merchant_id: merchant, customer, contact_tags: &contact_tags, provider, provider_user: &user };
    let now = context.clock.now();
    // The contact is in no log, not even as a hash.
    let entry = by.does(merchant, now, "customer.create", ("customer", customer.to_string()));
    let entry = entry.after(json!({ "provider": provider.to_string(), "provider_user": user }));
    match customers::register(&mut *context.db.get().await?, &new, now, &entry).await? {
        Registration::Written => Ok(true),
        Registration::Before => Ok(false),
        Registration::OtherContact => Err(other_contact()),
        Registration::Taken => Err(FlowError::conflict(
            "user_taken",
            "the wallet account with this mobile number or e-mail address is another customer's; use that customer, or another contact",
        )),
    }
}

/// What a contact is hashed as. The same contact of another customer has another hash, so that the
/// table does not tell who shares one.
fn message(merchant: MerchantId, customer: &CustomerId, contact: &Contact) -> Vec<u8> {
    let parts = match contact {
        Contact::Mobile { country, number } => ["mobile", country, number.expose_secret()],
        Contact::Email(address) => ["email", "", address.expose_secret()],
    };
    // No part has control characters in it.
    [merchant.0.as_bytes(), [&[customer.as_str()], &parts[..]].concat().join("\0").as_bytes()].concat()
}

fn other_contact() -> FlowError {
    FlowError::conflict(
        "customer_conflict",
        "this customer was registered with another mobile number or e-mail address; repeat that one, or give none",
    )
}

fn refused(error: AskError, merchant: MerchantId, provider: Provider, pointer: &str) -> FlowError {
    match error {
        AskError::Refused(code) => FlowError::field(pointer, code.code, format!("is refused by {provider}: {}", code.message)),
        AskError::Misconfigured(code) => {
            tracing::error!(%merchant, %provider, code = code.provider_code, why = code.message, "the provider refuses our credentials or our clock");
            FlowError::ProviderUnavailable("it refuses the account's credentials".to_owned())
        }
        AskError::Unavailable(why) => FlowError::ProviderUnavailable(why),
    }
}

/// What a customer owns of a coin at a provider.
#[derive(Clone, Debug)]
pub struct Owned {
    /// The provider.
    pub provider: Provider,
    /// The coin's name; the provider's id where it has none.
    pub coin: String,
    /// How much.
    pub balance: Balance,
}

/// What a customer owns, of one coin or of all, at one provider or at all that keep an account for it.
pub async fn balances(
    context: &Context,
    merchant: MerchantId,
    customer: &CustomerId,
    coin: Option<&str>,
    provider: Option<Provider>,
) -> Result<Vec<Owned>, FlowError> {
    let tenant = tenant(context, merchant).await?;
    let known = of(context, merchant, customer).await?;
    let users: Vec<_> = known.users.iter().filter(|user| provider.is_none_or(|wanted| wanted == user.provider)).collect();
    if let (Some(provider), true) = (provider, users.is_empty()) {
        tenant.account(provider)?.users()?;
        return Err(not_there());
    }
    let (mut found, mut coin_is_known) = (Vec::new(), false);
    for user in users {
        let account = tenant.account(user.provider)?;
        match coin {
            Some(name) => {
                let coins = coins::list(context, merchant, account).await?;
                let Some(coin) = coin::find(&coins, name) else { continue };
                coin_is_known = true;
                found.push(balance(merchant, account, user, coin).await?);
            }
            None => found.extend(all_balances(context, merchant, account, user).await?),
        }
    }
    if coin.is_some() && !coin_is_known {
        return Err(coins::unknown());
    }
    Ok(found)
}

async fn balance(merchant: MerchantId, account: &ProviderAccount, user: &UserRow, coin: &Coin) -> Result<Owned, FlowError> {
    let asked = account.users()?.balance(&user.provider_user, &coin.provider_coin_id).await;
    let balance = asked.map_err(|error| refused(error, merchant, user.provider, "/coin"))?;
    Ok(Owned { provider: user.provider, coin: coin.coin.clone(), balance })
}

async fn all_balances(context: &Context, merchant: MerchantId, account: &ProviderAccount, user: &UserRow) -> Result<Vec<Owned>, FlowError> {
    let asked = account.users()?.balances(&user.provider_user).await;
    let balances = asked.map_err(|error| refused(error, merchant, user.provider, "/customer"))?;
    let coins = match coins::list(context, merchant, account).await {
        Ok(coins) => coins,
        // Balances without names are better than none.
        Err(FlowError::ProviderUnavailable(why)) => {
            tracing::warn!(%merchant, provider = %user.provider, why, "balances are shown without the names of their coins");
            std::sync::Arc::default()
        }
        Err(error) => return Err(error),
    };
    let named = |balance: Balance| {
        let coin = coins.iter().find(|coin| coin.provider_coin_id == balance.provider_coin_id).map(|coin| coin.coin.clone());
        Owned { provider: user.provider, coin: coin.unwrap_or_else(|| balance.provider_coin_id.clone()), balance }
    };
    Ok(balances.into_iter().map(named).collect())
}

/// Where a customer pays a coin in, from memory or from the provider. Gives the address, and whether it was remembered.
pub async fn address(
    context: &Context,
    merchant: MerchantId,
    customer: &CustomerId,
    name: &str,
    provider: Option<Provider>,
) -> Result<(AddressRow, bool), FlowError> {
    let tenant = tenant(context, merchant).await?;
    let account = tenant.only_with_users(provider)?;
    let (users, provider) = (account.users()?, account.provider());
    let user = customers::user(&mut *context.db.get().await?, merchant, customer, provider).await?.ok_or_else(not_there)?;
    let coin = coins::named(context, merchant, account, name).await?;
    let id = coin.provider_coin_id.as_str();
    if let Some(row) = customers::address(&mut *context.db.get().await?, merchant, customer, provider, id).await? {
        return Ok((row, true));
    }
    tenant.open_account(provider)?;
    coins::active(&coin)?;
    let address = users.address(&user, id).await.map_err(|error| refused(error, merchant, provider, "/coin"))?;
    let now = context.clock.now();
    point(Point::AddressGiven);
    customers::remember_address(&mut *context.db.get().await?, merchant, customer, provider, id, &coin.coin, &address, now).await?;
    // Another request may have been faster; what it remembered is what stays.
    let row = customers::address(&mut *context.db.get().await?, merchant, customer, provider, id).await?;
    Ok((row.ok_or_else(|| FlowError::Internal("an address has disappeared".to_owned()))?, false))
}

/// The addresses of a customer that are remembered.
pub async fn addresses(context: &Context, merchant: MerchantId, customer: &CustomerId) -> Result<Vec<AddressRow>, FlowError> {
    let found = customers::addresses(&mut *context.db.get().await?, merchant, customer).await?;
    if found.is_empty() {
        of(context, merchant, customer).await?;
    }
    Ok(found)
}

fn not_there() -> FlowError {
    FlowError::NotFound("customer at this wallet; POST /v1/customers registers one")
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn mobile(country: &str, number: &str) -> Contact {
        Contact::Mobile { country: country.to_owned(), number: number.to_owned().into() }
    }

    #[test]
    fn contacts_of_customers_are_hashed_apart() {
        let merchants = [MerchantId(Uuid::from_u128(1)), MerchantId(Uuid::from_u128(2))];
        let customers = ["ada", "ada1"].map(|text| CustomerId::parse(text).expect("a customer"));
        let email = Contact::Email("13800138000".to_owned().into());
        let contacts = [mobile("+1", "3800138000"), mobile("+13", "800138000"), mobile("+1", "3800138001"), email];
        let mut seen = std::collections::BTreeSet::new();
        for merchant in merchants {
            for customer in &customers {
                for contact in &contacts {
                    assert!(seen.insert(message(merchant, customer, contact)), "{merchant} {customer} {contact:?}");
                }
            }
        }
    }
}
