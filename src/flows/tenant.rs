//! Who is asking: merchants, their accounts and keys, remembered for a short time.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use strum::{Display, EnumString};

use super::Context;
use super::error::FlowError;
use crate::domain::account::{self, Account};
use crate::domain::audit::By;
use crate::domain::coin::Coin;
use crate::domain::ids::{KeyId, MerchantId};
use crate::domain::order::Provider;
use crate::providers::fomo::Fomo;
use crate::providers::hicoin::Hicoin;
use crate::providers::youliao::Youliao;
use crate::providers::{Authorizations, Links, Users, Wallet};
use crate::store::{accounts, keys};

/// How long what was read is believed without a word from whoever changes it.
const MEMORY: Duration = Duration::from_secs(5);
/// How long a list of coins is believed.
const COIN_MEMORY: Duration = Duration::from_secs(30);
/// Most things remembered of one sort.
const CAPACITY: usize = 10_000;

/// A merchant with its accounts, ready to use.
#[derive(Debug)]
pub struct Tenant {
    /// Its id.
    pub id: MerchantId,
    /// Origins that its browsers may be sent back to.
    pub return_origins: Vec<String>,
    accounts: HashMap<Provider, ProviderAccount>,
    youliao: Option<YouliaoAccount>,
}

/// An account at Youliao, which is no wallet: it takes no orders.
#[derive(Debug)]
struct YouliaoAccount {
    adapter: Youliao,
    /// It takes no new authorisations.
    disabled: bool,
}

/// An account with the adapter that speaks for it.
#[derive(Clone)]
pub struct ProviderAccount {
    /// Credentials and choices.
    pub account: Account,
    /// Speaks to the provider.
    pub wallet: Arc<Wallet>,
    /// It takes no new orders.
    pub disabled: bool,
}

impl std::fmt::Debug for ProviderAccount {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ProviderAccount").field("account", &self.account).finish_non_exhaustive()
    }
}

impl ProviderAccount {
    /// Lets customers open their accounts to us.
    pub fn links(&self) -> Result<&dyn Links, FlowError> {
        let why = || FlowError::field("/provider", "links_not_supported", "customers cannot be linked to this wallet");
        self.wallet.links.as_deref().ok_or_else(why)
    }

    /// Keeps accounts for customers.
    pub fn users(&self) -> Result<&dyn Users, FlowError> {
        let why = || FlowError::field("/provider", "users_not_supported", "this wallet keeps no accounts for customers");
        self.wallet.users.as_deref().ok_or_else(why)
    }

    /// The provider that it is at.
    pub fn provider(&self) -> Provider {
        self.account.provider()
    }
}

impl Tenant {
    /// The account at a provider.
    pub fn account(&self, provider: Provider) -> Result<&ProviderAccount, FlowError> {
        self.accounts.get(&provider).ok_or_else(|| {
            FlowError::field("/provider", "provider_not_configured", format!("there is no account at {provider}; the operator adds it"))
        })
    }

    /// The account at a provider, open to new orders.
    pub fn open_account(&self, provider: Provider) -> Result<&ProviderAccount, FlowError> {
        let account = self.account(provider)?;
        if account.disabled {
            return Err(FlowError::field("/provider", "provider_disabled", format!("the account at {provider} takes no new orders")));
        }
        Ok(account)
    }

    /// Asks Youliao for authorisations.
    pub fn authorizations(&self) -> Result<&dyn Authorizations, FlowError> {
        match &self.youliao {
            Some(account) if account.disabled => {
                Err(FlowError::field("", "provider_disabled", "the account at youliao takes no new authorisations"))
            }
            Some(account) => Ok(&account.adapter),
            None => Err(FlowError::field("", "provider_not_configured", "there is no account at youliao; the operator adds it")),
        }
    }

    /// The accounts at wallets that keep accounts for customers, closed ones too, by provider.
    pub fn with_users(&self) -> impl Iterator<Item = &ProviderAccount> {
        let mut accounts: Vec<_> = self.accounts.values().filter(|account| account.wallet.users.is_some()).collect();
        accounts.sort_by_key(|account| account.provider());
        accounts.into_iter()
    }

    /// The account at this provider; where none is named, the only one at a wallet that keeps accounts for customers.
    pub fn only_with_users(&self, provider: Option<Provider>) -> Result<&ProviderAccount, FlowError> {
        if let Some(provider) = provider {
            return self.account(provider);
        }
        let mut accounts = self.with_users();
        match (accounts.next(), accounts.next()) {
            (Some(account), None) => Ok(account),
            (Some(_), Some(_)) => Err(FlowError::field("/provider", "provider_required", "must name the wallet: there are several")),
            (None, _) => Err(no_users()),
        }
    }
}

/// No account of the merchant is at a wallet that keeps accounts for customers.
pub fn no_users() -> FlowError {
    let detail = "there is no account at a wallet that keeps accounts for customers; the operator adds it";
    FlowError::field("/provider", "provider_not_configured", detail)
}

/// What an API key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString)]
pub enum Scope {
    /// Read orders and what belongs to them.
    #[strum(serialize = "orders:read")]
    OrdersRead,
    /// Make deposits and links.
    #[strum(serialize = "deposits:write")]
    DepositsWrite,
    /// Make payouts and transfers.
    #[strum(serialize = "payouts:write")]
    PayoutsWrite,
    /// Everything, also what is otherwise a person's business.
    #[strum(serialize = "admin")]
    Admin,
}

/// Who is asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Whose key it is.
    pub merchant: MerchantId,
    /// Which key.
    pub key: KeyId,
    /// Its name; its beginning where it has none.
    name: String,
    scopes: Vec<Scope>,
    networks: Vec<ipnet::IpNet>,
    expires_at: Option<time::OffsetDateTime>,
}

impl Caller {
    /// The caller, as the audit log names it, in the request with this name.
    pub fn by(&self, request_id: String) -> By {
        By::key(self.key, &self.name, request_id)
    }

    /// Whether the key is good now, and from there.
    fn is_live(&self, now: time::OffsetDateTime, address: Option<IpAddr>) -> bool {
        let live = self.expires_at.is_none_or(|end| now < end);
        let here =
            self.networks.is_empty() || address.is_some_and(|address| self.networks.iter().any(|network| network.contains(&address)));
        live && here
    }

    /// Whether the key may do this.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }
}

/// What is remembered.
#[derive(Debug, Default)]
pub struct Tenants {
    tenants: Memory<MerchantId, Arc<Tenant>>,
    callers: Memory<[u8; 32], Option<Caller>>,
    coins: Memory<(MerchantId, Provider), Arc<Vec<Coin>>>,
}

impl Tenants {
    /// Forgets everything: something was changed.
    pub fn forget(&self) {
        self.tenants.clear();
        self.callers.clear();
        self.coins.clear();
    }

    /// The coins of an account, if they were asked for lately.
    pub fn coins(&self, merchant: MerchantId, provider: Provider, now: Instant) -> Option<Arc<Vec<Coin>>> {
        self.coins.get(&(merchant, provider), now, COIN_MEMORY)
    }

    /// Remembers the coins of an account.
    pub fn remember_coins(&self, merchant: MerchantId, provider: Provider, coins: Arc<Vec<Coin>>, now: Instant) {
        self.coins.put((merchant, provider), coins, now);
    }
}

/// The merchant with its accounts.
pub async fn tenant(context: &Context, merchant: MerchantId) -> Result<Arc<Tenant>, FlowError> {
    let now = context.clock.instant();
    if let Some(tenant) = context.tenants.tenants.get(&merchant, now, MEMORY) {
        return Ok(tenant);
    }
    // Rare: not in the memory of every flow that asks.
    Box::pin(read(context, merchant, now)).await
}

async fn read(context: &Context, merchant: MerchantId, now: Instant) -> Result<Arc<Tenant>, FlowError> {
    let rows = accounts::accounts(&mut *context.db.get().await?, merchant).await?;
    let return_origins = accounts::return_origins(&mut *context.db.get().await?, merchant).await?;
    let (mut found, mut youliao) = (HashMap::new(), None);
    for row in rows {
        let account = super::setup::open_account(context, merchant, row.provider, &row.sealed)?;
        let (http, clock) = (context.http.clone(), context.clock.clone());
        let wallet = match &account.wallet {
            account::Wallet::Fomo(fomo) => Fomo::wallet(http, fomo.clone(), clock),
            account::Wallet::Hicoin(hicoin) => Hicoin::wallet(http, hicoin.clone(), clock),
            account::Wallet::Youliao(account) => {
                youliao = Some(YouliaoAccount { adapter: Youliao::new(http, account.clone()), disabled: row.disabled });
                continue;
            }
        };
        found.insert(row.provider, ProviderAccount { account, wallet: Arc::new(wallet), disabled: row.disabled });
    }
    let tenant = Arc::new(Tenant { id: merchant, return_origins, accounts: found, youliao });
    context.tenants.tenants.put(merchant, tenant.clone(), now);
    Ok(tenant)
}

/// The caller whose key this is, if that was asked lately; `Some(None)` if it is no live key, or not from this address.
pub fn remembered(context: &Context, key: &SecretString, address: Option<IpAddr>) -> Option<Option<Caller>> {
    let hashes = hashes(context, key);
    let caller = context.tenants.callers.get(hashes.first()?, context.clock.instant(), MEMORY)?;
    Some(caller.filter(|caller| caller.is_live(context.clock.now(), address)))
}

/// The caller whose key this is; `None` if it is no live key, or not from this address.
pub async fn authenticate(context: &Context, key: &SecretString, address: Option<IpAddr>) -> Result<Option<Caller>, FlowError> {
    let now = context.clock.instant();
    let hashes = hashes(context, key);
    let all: Vec<Vec<u8>> = hashes.iter().map(|hash| hash.to_vec()).collect();
    let row = keys::by_hash(&mut *context.db.get().await?, &all).await?;
    let caller = row.as_ref().map(caller);
    context.tenants.callers.put(hashes[0], caller.clone(), now);
    Ok(caller.filter(|caller| caller.is_live(context.clock.now(), address)))
}

/// What a key is kept as: with the present key of the vault first.
fn hashes(context: &Context, key: &SecretString) -> Vec<[u8; 32]> {
    context.vault.tags(super::setup::API_KEY, key.expose_secret().as_bytes())
}

fn caller(row: &keys::KeyRow) -> Caller {
    Caller {
        merchant: row.merchant_id,
        key: row.id,
        name: row.name.clone().unwrap_or_else(|| row.prefix.clone()),
        scopes: row.scopes.iter().filter_map(|scope| scope.parse().ok()).collect(),
        networks: row.allow_ips.iter().filter_map(|text| account::network(text)).collect(),
        expires_at: row.expires_at,
    }
}

/// Values that are believed for a short time.
#[derive(Debug)]
struct Memory<K, V> {
    values: Mutex<HashMap<K, (Instant, V)>>,
}

impl<K, V> Default for Memory<K, V> {
    fn default() -> Self {
        Self { values: Mutex::new(HashMap::new()) }
    }
}

impl<K: Eq + Hash, V: Clone> Memory<K, V> {
    fn get(&self, key: &K, now: Instant, life: Duration) -> Option<V> {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.get(key).filter(|(since, _)| now.duration_since(*since) < life).map(|(_, value)| value.clone())
    }

    fn put(&self, key: K, value: V, now: Instant) {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        if values.len() >= CAPACITY {
            values.clear();
        }
        values.insert(key, (now, value));
    }

    fn clear(&self) {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
