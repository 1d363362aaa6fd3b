//! Setting up: merchants, their accounts and their keys. The operator's business, from the command line.

use std::collections::BTreeMap;

use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::Context;
use super::error::FlowError;
use super::tenant::Scope;
use crate::domain::account::Account;
use crate::domain::ids::{KeyId, MerchantId};
use crate::domain::order::Provider;
use crate::store::accounts::{self, AccountRow, MerchantRow};
use crate::store::keys::{self, KeyRow};
use crate::vault::random_token;

/// The purpose of the keyed hash under which API keys are stored.
pub const API_KEY: &str = "api-key";
/// How much of a key is kept in the clear, for people to tell keys apart.
const SHOWN: usize = 10;

/// A merchant as its file describes it, values resolved.
#[derive(Clone, Debug)]
pub struct MerchantDocument {
    /// Its name.
    pub name: String,
    /// Origins that browsers may be sent back to.
    pub return_origins: Vec<String>,
    /// Its provider accounts: credentials and choices.
    pub accounts: BTreeMap<Provider, Map<String, Value>>,
}

/// What applying a document did, a line each.
pub type Changes = Vec<String>;

/// Says no to a document that cannot be applied; names the key that is wrong.
pub fn check(document: &MerchantDocument) -> Result<(), FlowError> {
    for (provider, settings) in &document.accounts {
        read_account(*provider, settings.clone())
            .map_err(|error| FlowError::conflict("account_invalid", format!("merchant {}, {provider}: {error}", document.name)))?;
    }
    Ok(())
}

/// Makes a merchant what its document says. Applying it again changes nothing. Accounts that the
/// document does not name are closed to new orders.
pub async fn apply(context: &Context, document: &MerchantDocument) -> Result<Changes, FlowError> {
    check(document)?;
    let now = context.clock.now();
    let mut connection = context.db.get().await?;
    let before = accounts::merchant_by_name(&mut connection, &document.name).await?;
    let new_id = MerchantId(context.clock.new_uuid());
    let merchant = accounts::put_merchant(&mut connection, new_id, &document.name, &document.return_origins, now).await?;
    let mut changes = vec![merchant_change(before.as_ref(), document)];
    let known = accounts::accounts(&mut connection, merchant).await?;
    for (provider, settings) in &document.accounts {
        let known = known.iter().find(|row| row.provider == *provider);
        let change = account_change(context, merchant, known, settings)?;
        // An order is followed to its end by the flow that it began with: the other one hears nothing of it.
        if let Some(change) = known.map(|known| flow_change(context, merchant, known, settings)).transpose()?.flatten() {
            let open = accounts::open_orders(&mut connection, merchant, *provider).await?;
            if open > 0 {
                return Err(orders_open(&document.name, *provider, change, open));
            }
        }
        if change != "unchanged" {
            let sealed = context.vault.seal(&place(merchant, *provider), Value::Object(settings.clone()).to_string().as_bytes())?;
            accounts::put_account(&mut connection, merchant, *provider, &sealed, now).await?;
        }
        changes.push(format!("merchant {}: account at {provider} {change}", document.name));
    }
    for row in known.iter().filter(|row| !row.disabled && !document.accounts.contains_key(&row.provider)) {
        accounts::disable_account(&mut connection, merchant, row.provider, now).await?;
        changes.push(format!("merchant {}: account at {} closed to new orders", document.name, row.provider));
    }
    keys::announce_change(&mut connection).await?;
    context.tenants.forget();
    Ok(changes)
}

fn merchant_change(before: Option<&MerchantRow>, document: &MerchantDocument) -> String {
    let change = match before {
        None => "created",
        Some(before) if before.return_origins == document.return_origins => "unchanged",
        Some(_) => "updated",
    };
    format!("merchant {}: {change}", document.name)
}

fn account_change(
    context: &Context,
    merchant: MerchantId,
    known: Option<&AccountRow>,
    settings: &Map<String, Value>,
) -> Result<&'static str, FlowError> {
    let Some(known) = known else { return Ok("created") };
    let document = open_document(context, merchant, known.provider, &known.sealed)?;
    Ok(if document == *settings && !known.disabled { "unchanged" } else { "updated" })
}

/// The flow of an account before and after, where the document changes it.
fn flow_change(
    context: &Context,
    merchant: MerchantId,
    known: &AccountRow,
    settings: &Map<String, Value>,
) -> Result<Option<(String, String)>, FlowError> {
    let flow = |settings: &Map<String, Value>| settings.get("flow").and_then(Value::as_str).unwrap_or("app").to_owned();
    let (before, after) = (flow(&open_document(context, merchant, known.provider, &known.sealed)?), flow(settings));
    Ok((before != after).then_some((before, after)))
}

fn orders_open(name: &str, provider: Provider, (before, after): (String, String), open: i64) -> FlowError {
    let why = format!(
        "merchant {name}, {provider}: flow cannot change from {before} to {after} while {open} orders are open; \
         wait for their end, or make a merchant of its own for the other flow"
    );
    FlowError::conflict("orders_open", why)
}

/// Reads an account; the error names the key that is wrong.
fn read_account(provider: Provider, document: Map<String, Value>) -> Result<Account, serde_json::Error> {
    Account::from_document(provider, document)
}

fn place(merchant: MerchantId, provider: Provider) -> String {
    format!("provider_accounts/{merchant}/{provider}")
}

fn open_document(context: &Context, merchant: MerchantId, provider: Provider, sealed: &[u8]) -> Result<Map<String, Value>, FlowError> {
    let plain = context.vault.open(&place(merchant, provider), sealed)?;
    serde_json::from_slice(plain.expose_secret()).map_err(|_| FlowError::Internal("a sealed account cannot be read".to_owned()))
}

/// Opens a stored account.
pub fn open_account(context: &Context, merchant: MerchantId, provider: Provider, sealed: &[u8]) -> Result<Account, FlowError> {
    let document = open_document(context, merchant, provider, sealed)?;
    read_account(provider, document)
        .map_err(|error| FlowError::Internal(format!("the stored account at {provider} cannot be used: {error}")))
}

/// A merchant with the providers that it has accounts at.
pub async fn merchants(context: &Context) -> Result<Vec<(MerchantRow, Vec<AccountRow>)>, FlowError> {
    let mut connection = context.db.get().await?;
    let mut all = Vec::new();
    for merchant in accounts::merchants(&mut connection).await? {
        let rows = accounts::accounts(&mut connection, merchant.id).await?;
        all.push((merchant, rows));
    }
    Ok(all)
}

/// What a new key may do, and from where and until when.
#[derive(Clone, Debug)]
pub struct KeyWish {
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Networks that it may be used from; empty means any.
    pub allow_ips: Vec<IpNet>,
    /// Absent: it does not expire.
    pub expires_at: Option<OffsetDateTime>,
}

/// Makes a key for a merchant. This is the only time that the key itself is to be seen.
pub async fn create_key(context: &Context, merchant: &str, wish: &KeyWish) -> Result<(KeyId, SecretString), FlowError> {
    let merchant = merchant_id(context, merchant).await?;
    let key: SecretString = format!("tg_{}", random_token()?).into();
    let row = KeyRow {
        merchant_id: merchant,
        id: KeyId(context.clock.new_uuid()),
        prefix: key.expose_secret()[..SHOWN].to_owned(),
        scopes: wish.scopes.iter().map(ToString::to_string).collect(),
        allow_ips: wish.allow_ips.iter().map(ToString::to_string).collect(),
        expires_at: wish.expires_at,
    };
    let hash = context.vault.tag(API_KEY, key.expose_secret().as_bytes());
    keys::insert(&mut *context.db.get().await?, &row, &hash, context.clock.now()).await?;
    Ok((row.id, key))
}

/// Revokes the keys of a merchant that have this id, or this prefix. Gives their number.
pub async fn revoke_key(context: &Context, merchant: &str, id_or_prefix: &str) -> Result<u64, FlowError> {
    let merchant = merchant_id(context, merchant).await?;
    let mut connection = context.db.get().await?;
    let prefix: String = id_or_prefix.chars().take(SHOWN).collect();
    let revoked = keys::revoke(&mut connection, merchant, KeyId::parse(id_or_prefix).ok(), &prefix, context.clock.now()).await?;
    keys::announce_change(&mut connection).await?;
    context.tenants.forget();
    Ok(revoked)
}

async fn merchant_id(context: &Context, name: &str) -> Result<MerchantId, FlowError> {
    let found = accounts::merchant_by_name(&mut *context.db.get().await?, name).await?;
    found.map(|merchant| merchant.id).ok_or_else(|| {
        FlowError::conflict(
            "merchant_unknown",
            format!("there is no merchant {name:?}; tillgate merchant list shows all, tillgate merchant apply makes one"),
        )
    })
}
