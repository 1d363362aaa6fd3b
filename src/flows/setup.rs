//! Setting up: merchants, their accounts and their keys. The operator's business, from the command line.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

use super::Context;
use super::error::FlowError;
use super::tenant::Scope;
use crate::domain::account::{Account, POLICY_KEYS};
use crate::domain::audit::By;
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
pub async fn apply(context: &Context, by: &By, document: &MerchantDocument) -> Result<Changes, FlowError> {
    check(document)?;
    let now = context.clock.now();
    let mut connection = context.db.get().await?;
    let before = accounts::merchant_by_name(&mut connection, &document.name).await?;
    let known = match &before {
        Some(before) => accounts::accounts(&mut connection, before.id).await?,
        None => Vec::new(),
    };
    // An order is followed to its end by the flow that it began with: the other one hears nothing of it. Nothing is written
    // before that is clear.
    for (before, row) in before.iter().flat_map(|before| known.iter().map(move |row| (before, row))) {
        let Some(settings) = document.accounts.get(&row.provider) else { continue };
        if let Some(change) = flow_change(context, before.id, row, settings)? {
            let open = accounts::open_orders(&mut connection, before.id, row.provider).await?;
            if open > 0 {
                return Err(orders_open(&document.name, row.provider, change, open));
            }
        }
    }
    let new_id = MerchantId(context.clock.new_uuid());
    let entry = by.does(new_id, now, "merchant.apply", ("merchant", document.name.clone()));
    let merchant = accounts::put_merchant(&mut connection, new_id, &document.name, &document.return_origins, now, &entry).await?;
    let mut changes = vec![merchant_change(before.as_ref(), document)];
    for (provider, settings) in &document.accounts {
        let known = known.iter().find(|row| row.provider == *provider);
        let change = account_change(context, merchant, known, settings)?;
        if change != "unchanged" {
            let before =
                known.map(|row| Ok::<_, FlowError>((row, open_document(context, merchant, row.provider, &row.sealed)?))).transpose()?;
            let entry = by.does(merchant, now, "account.set", ("account", provider.to_string()));
            let entry = entry.after(shown(settings, before.as_ref().map(|(_, before)| before), false));
            let entry = match &before {
                Some((row, before)) => entry.before(shown(before, None, row.disabled)),
                None => entry,
            };
            let sealed = context.vault.seal(&place(merchant, *provider), Value::Object(settings.clone()).to_string().as_bytes())?;
            accounts::put_account(&mut connection, merchant, *provider, &sealed, now, &entry).await?;
        }
        changes.push(format!("merchant {}: account at {provider} {change}", document.name));
    }
    for row in known.iter().filter(|row| !row.disabled && !document.accounts.contains_key(&row.provider)) {
        let entry = by.does(merchant, now, "account.close", ("account", row.provider.to_string()));
        let entry = entry.before(json!({ "closed": false })).after(json!({ "closed": true }));
        accounts::disable_account(&mut connection, merchant, row.provider, now, &entry).await?;
        changes.push(format!("merchant {}: account at {} closed to new orders", document.name, row.provider));
    }
    keys::announce_change(&mut connection).await?;
    context.tenants.forget();
    Ok(changes)
}

/// What the audit log tells of an account: the settings that are no secrets, where its provider is, and the names (no more) of
/// all that differ from `before`.
fn shown(settings: &Map<String, Value>, before: Option<&Map<String, Value>>, closed: bool) -> Value {
    let open: Map<String, Value> = settings
        .iter()
        .filter(|(name, _)| name.as_str() == "flow" || POLICY_KEYS.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let origin = settings
        .get("base_url")
        .and_then(Value::as_str)
        .and_then(|text| Url::parse(text).ok())
        .map(|url| url.origin().ascii_serialization());
    let mut all = json!({ "settings": open, "origin": origin, "closed": closed });
    if let Some(before) = before {
        let names: BTreeSet<&String> = settings.keys().chain(before.keys()).collect();
        let changed: Vec<&String> = names.into_iter().filter(|name| settings.get(*name) != before.get(*name)).collect();
        all["changed"] = json!(changed);
    }
    all
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
    /// What people call it: who holds it. Absent: they tell it by its beginning.
    pub name: Option<String>,
}

/// Makes a key for a merchant. This is the only time that the key itself is to be seen.
pub async fn create_key(context: &Context, by: &By, merchant: &str, wish: &KeyWish) -> Result<(KeyId, SecretString), FlowError> {
    let merchant = merchant_id(context, merchant).await?;
    let key: SecretString = format!("tg_{}", random_token()?).into();
    let row = KeyRow {
        merchant_id: merchant,
        id: KeyId(context.clock.new_uuid()),
        prefix: key.expose_secret()[..SHOWN].to_owned(),
        name: wish.name.clone(),
        scopes: wish.scopes.iter().map(ToString::to_string).collect(),
        allow_ips: wish.allow_ips.iter().map(ToString::to_string).collect(),
        expires_at: wish.expires_at,
    };
    let hash = context.vault.tag(API_KEY, key.expose_secret().as_bytes());
    let now = context.clock.now();
    let entry = by.does(merchant, now, "key.create", ("key", row.id.to_string())).after(json!({
        "prefix": row.prefix,
        "name": row.name,
        "scopes": row.scopes,
        "allow_ips": row.allow_ips,
        "expires_at": row.expires_at.and_then(|end| end.format(&Rfc3339).ok()),
    }));
    keys::insert(&mut *context.db.get().await?, &row, &hash, now, &entry).await?;
    Ok((row.id, key))
}

/// Revokes the keys of a merchant that have this id, or this prefix. Gives their number.
pub async fn revoke_key(context: &Context, by: &By, merchant: &str, id_or_prefix: &str) -> Result<i64, FlowError> {
    let merchant = merchant_id(context, merchant).await?;
    let mut connection = context.db.get().await?;
    let prefix: String = id_or_prefix.chars().take(SHOWN).collect();
    let now = context.clock.now();
    // Which keys they are, the statement finds out.
    let entry = by.does(merchant, now, "key.revoke", ("key", prefix.clone()));
    let revoked = keys::revoke(&mut connection, merchant, KeyId::parse(id_or_prefix).ok(), &prefix, now, &entry).await?;
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
