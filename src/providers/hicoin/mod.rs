//! Hicoin's open API: the verbs.
//!
//! Hicoin keeps accounts and addresses for our customers. Money comes in by their addresses, without
//! a word to us: the lists of deposits are read. Money goes out to addresses, to users out of the
//! merchant's account, and between users; our id is Hicoin's `request_id`, which it takes once. Every
//! call is made once: nothing here tries again, and nothing here decides what an order becomes.

mod oauth;
pub mod sign;
pub mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use secrecy::ExposeSecret;
use time::OffsetDateTime;
use tracing::warn;

pub use self::oauth::HicoinOauth;
pub use self::sign::{Parameter, plain, sign};
use self::wire::{Code, List, Verb};
use super::http::{Call, CallFailure, ProviderHttp, Sent};
use super::{
    AddressPayouts, Answer, AskError, Balance, Coins, Contact, DepositFeed, Deposits, Entry, Links, Listed, MoneyCall, Notices, PAGE,
    Profile, Side, Subject, TradeLookups, Transfers, UserPayouts, Users, Wallet, Way,
};
use crate::domain::account::HicoinAccount;
use crate::domain::clock::Clock;
use crate::domain::coin::Coin;
use crate::domain::ids::TradeId;
use crate::domain::recovery::Capabilities;
use crate::domain::report::Outcome;

/// A merchant's account at Hicoin.
#[derive(Debug)]
pub struct Hicoin {
    http: ProviderHttp,
    account: HicoinAccount,
    clock: Clock,
    /// Hicoin took the signature of `max_id=0` for a wrong one, as its sample in PHP would.
    zero_is_unsigned: AtomicBool,
}

/// One of Hicoin's methods.
#[derive(Clone, Copy)]
struct Method {
    /// For logs.
    name: &'static str,
    /// Below the base address.
    path: &'static str,
    is_get: bool,
}

const fn get(name: &'static str, path: &'static str) -> Method {
    Method { name, path, is_get: true }
}

const fn post(name: &'static str, path: &'static str) -> Method {
    Method { name, path, is_get: false }
}

// `hicoin-openapi.rst`, section 4, in its order.
const CREATE_USER: Method = post("hicoin createUser", "api/user/createUser");
const REGISTER_EMAIL: Method = post("hicoin registerEmail", "api/user/registerEmail");
const INFO: Method = get("hicoin info", "api/user/info");
const GET_BY_UID_AND_SYMBOL: Method = get("hicoin getByUidAndSymbol", "api/account/getByUidAndSymbol");
const GET_ALL_ACCOUNT: Method = get("hicoin getAllAccount", "api/account/getAllAccount");
const GET_DEPOSIT_ADDRESS: Method = post("hicoin getDepositAddress", "api/account/getDepositAddress");
const USER_TRANSFER: Method = post("hicoin userTransfer", "api/billing/userTransfer");
const SYSTEM_TRANSFER: Method = post("hicoin systemTransfer", "api/billing/systemTransfer");
const WITHDRAW: Method = post("hicoin withdraw", "api/billing/withdraw");
const GET_COIN_LIST: Method = get("hicoin getCoinList", "api/user/getCoinList");
const WITHDRAW_LIST: Method = get("hicoin withdrawList", "api/billing/withdrawList");
const SYNC_DEPOSIT_LIST: Method = get("hicoin syncDepositList", "api/billing/syncDepositList");
const DEPOSIT_LIST: Method = get("hicoin depositList", "api/billing/depositList");
const TRANSFER_LIST: Method = get("hicoin transferList", "api/billing/transferList");
const SYSTEM_TRANSFER_LIST: Method = get("hicoin systemTransferList", "api/billing/systemTransferList");

impl Hicoin {
    /// Speaks for this account.
    pub fn new(http: ProviderHttp, account: HicoinAccount, clock: Clock) -> Self {
        Self { http, account, clock, zero_is_unsigned: AtomicBool::new(false) }
    }

    /// The ports of an account at Hicoin.
    pub fn wallet(http: ProviderHttp, account: HicoinAccount, clock: Clock) -> Wallet {
        let oauth = HicoinOauth::of(&http, &account);
        let hicoin = Arc::new(Self::new(http, account, clock));
        Wallet {
            capabilities: Capabilities {
                refuses_duplicates: true,
                lookup_by_trade_id: true,
                lookup_by_reference: false,
                callbacks: false,
                deposit_feed: true,
            },
            coins: hicoin.clone(),
            deposits: Some(hicoin.clone()),
            web_deposits: None,
            payouts_need_token: false,
            user_payouts: hicoin.clone(),
            address_payouts: Some(hicoin.clone()),
            transfers: Some(hicoin.clone()),
            reference_lookups: None,
            trade_lookups: Some(hicoin.clone()),
            deposit_feed: Some(hicoin.clone()),
            users: Some(hicoin.clone()),
            links: oauth.map(|oauth| Arc::new(oauth) as Arc<dyn Links>),
            callbacks: None,
            notices: Some(hicoin),
        }
    }

    /// Sends a call, signed: the one place where parameters of any call are put together.
    async fn send(&self, method: Method, own: &[Parameter<'_>], order: Option<&MoneyCall>) -> Result<Sent, CallFailure> {
        let now: OffsetDateTime = order.map_or_else(|| self.clock.now(), |order| order.now);
        let time = now.unix_timestamp().to_string();
        let mut all = plain(own);
        all.extend(plain(&[("app_id", &self.account.app_id), ("time", &time)]));
        let sign = sign(&all, &self.account.app_secret);
        all.push(("sign", &sign));
        let mut url = self.account.base_url.clone();
        let path = format!("{}{}", url.path(), method.path);
        url.set_path(&path);
        let call = if method.is_get { Call::get(method.name, url, &all) } else { Call::post(method.name, url, &all) };
        self.http.send(order.into_iter().fold(call, |call, order| call.before(order.deadline))).await
    }

    /// Sends a call that moves nothing.
    async fn ask(&self, method: Method, own: &[Parameter<'_>]) -> Result<Sent, AskError> {
        self.send(method, own, None).await.map_err(|failure| AskError::Unavailable(failure.reason()))
    }

    /// Sends a call about an order, to be read by `read`.
    async fn send_order(&self, method: Method, own: &[Parameter<'_>], call: &MoneyCall, read: impl FnOnce(&Sent) -> Outcome) -> Answer {
        match self.send(method, own, Some(call)).await {
            Ok(sent) => Answer { outcome: read(&sent), evidence: Some(sent.evidence()) },
            Err(CallFailure::NotSent(why)) => Answer { outcome: Outcome::NotSent(why), evidence: None },
            Err(CallFailure::Unknown(why)) => Answer { outcome: Outcome::Unknown(why), evidence: None },
        }
    }

    /// Sends a call that moves money, with these parameters beside those that all of them have.
    async fn send_money(&self, method: Method, verb: Verb, call: &MoneyCall, own: &[Parameter<'_>]) -> Answer {
        let amount = call.amount.to_string();
        let mut all = vec![("request_id", call.trade_id.as_str()), ("amount", &amount), ("symbol", &call.provider_coin_id)];
        all.extend(own);
        self.send_order(method, &all, call, |sent| wire::outcome(verb, sent, call)).await
    }

    async fn list(&self, list: List, trade_ids: &[TradeId]) -> Result<Vec<Listed>, AskError> {
        if trade_ids.is_empty() {
            return Ok(Vec::new());
        }
        let method = match list {
            List::Withdrawals => WITHDRAW_LIST,
            List::Transfers => TRANSFER_LIST,
            List::SystemTransfers => SYSTEM_TRANSFER_LIST,
        };
        let ids = joined(trade_ids)?;
        wire::listed(list, &self.ask(method, &[("ids", &ids)]).await?, trade_ids)
    }

    async fn deposits_after(&self, max_id: i64) -> Result<Vec<Entry>, AskError> {
        wire::feed(&self.ask(SYNC_DEPOSIT_LIST, &[("max_id", &max_id.to_string())]).await?)
    }

    async fn look_up(&self, contact: &Contact) -> Result<Option<Profile>, AskError> {
        wire::profile(&self.ask(INFO, &parameters(contact)).await?)
    }
}

/// Ids as one parameter. What is beyond Hicoin's limit would pass for absent, so it is not asked.
fn joined<T: ToString>(ids: &[T]) -> Result<String, AskError> {
    if ids.len() > PAGE {
        return Err(AskError::Unavailable(format!("{} ids in one question, of at most {PAGE}", ids.len())));
    }
    Ok(ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
}

fn is_wrong_signature(page: &Result<Vec<Entry>, AskError>) -> bool {
    matches!(page, Err(AskError::Misconfigured(code)) if code.code == Code::SignatureWrong.name())
}

fn parameters(contact: &Contact) -> Vec<Parameter<'_>> {
    match contact {
        Contact::Mobile { country, number } => vec![("country", country), ("mobile", number.expose_secret())],
        Contact::Email(email) => vec![("email", email.expose_secret())],
    }
}

#[async_trait]
impl Deposits for Hicoin {
    /// `getDepositAddress` (section 4.6). Hicoin knows of no order: money to the address tells whose it is.
    async fn offer(&self, call: &MoneyCall, payer: Side<'_>) -> Answer {
        let own = [("uid", payer.user), ("symbol", &call.provider_coin_id)];
        self.send_order(GET_DEPOSIT_ADDRESS, &own, call, |sent| wire::offer(sent, call, payer.user)).await
    }
}

#[async_trait]
impl UserPayouts for Hicoin {
    /// `systemTransfer` (section 4.8).
    async fn pay_user(&self, call: &MoneyCall, payee: Side<'_>) -> Answer {
        self.send_money(SYSTEM_TRANSFER, Verb::Transfer, call, &[("to_uid", payee.user)]).await
    }
}

#[async_trait]
impl AddressPayouts for Hicoin {
    fn source(&self) -> Result<String, String> {
        let uid = self.account.payout_uid.as_deref().map(str::trim).filter(|uid| !uid.is_empty());
        uid.map(str::to_owned).ok_or_else(|| "payout_uid is not set: the uid that payouts to addresses are taken from".to_owned())
    }

    /// `withdraw` (section 4.9).
    async fn pay_address(&self, call: &MoneyCall, source: &str, address: &str, on_chain_only: bool) -> Answer {
        // 0 and nothing mean the same; 0 would be signed in two ways.
        let focus_online = if on_chain_only { "1" } else { "" };
        let own = [("from_uid", source), ("to_address", address), ("focus_online", focus_online)];
        self.send_money(WITHDRAW, Verb::Withdraw, call, &own).await
    }
}

#[async_trait]
impl Transfers for Hicoin {
    /// `userTransfer` (section 4.7).
    async fn transfer(&self, call: &MoneyCall, source: &str, user: &str) -> Answer {
        self.send_money(USER_TRANSFER, Verb::Transfer, call, &[("from_uid", source), ("to_uid", user)]).await
    }
}

#[async_trait]
impl TradeLookups for Hicoin {
    /// `withdrawList`, `transferList` and `systemTransferList` (sections 4.11, 4.14 and 4.15).
    async fn by_trade_ids(&self, way: Way, trade_ids: &[TradeId]) -> Result<Vec<Listed>, AskError> {
        match way {
            Way::ToUser => self.list(List::SystemTransfers, trade_ids).await,
            Way::BetweenUsers => self.list(List::Transfers, trade_ids).await,
            Way::ToAddress => {
                let mut found = self.list(List::Withdrawals, trade_ids).await?;
                // A withdrawal to an address of Hicoin's own becomes a transfer.
                let shown = |id: &TradeId| found.iter().any(|listed| listed.trade_id == *id);
                let others: Vec<TradeId> = trade_ids.iter().filter(|id| !shown(id)).cloned().collect();
                found.extend(self.list(List::Transfers, &others).await?);
                Ok(found)
            }
        }
    }
}

#[async_trait]
impl DepositFeed for Hicoin {
    /// `syncDepositList` (section 4.12).
    async fn after(&self, after: i64) -> Result<Vec<Entry>, AskError> {
        let max_id = if after == 0 && self.zero_is_unsigned.load(Ordering::Relaxed) { -1 } else { after };
        let mut page = self.deposits_after(max_id).await;
        if after == 0 && is_wrong_signature(&page) && !self.zero_is_unsigned.swap(true, Ordering::Relaxed) {
            warn!("hicoin refused the signature of max_id=0: max_id=-1 is sent in its place from now on");
            page = self.deposits_after(-1).await;
        }
        let mut page = page?;
        page.retain(|entry| entry.id > after);
        page.truncate(PAGE);
        Ok(page)
    }

    /// `depositList` (section 4.13).
    async fn by_ids(&self, ids: &[i64]) -> Result<Vec<Entry>, AskError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = wire::feed(&self.ask(DEPOSIT_LIST, &[("ids", &joined(ids)?)]).await?)?;
        found.retain(|entry| ids.contains(&entry.id));
        Ok(found)
    }
}

#[async_trait]
impl Users for Hicoin {
    /// `createUser` or `registerEmail` (sections 4.1 and 4.2), and `info` for somebody who may be there already.
    async fn register(&self, contact: &Contact) -> Result<String, AskError> {
        let method = match contact {
            Contact::Mobile { .. } => CREATE_USER,
            Contact::Email(_) => REGISTER_EMAIL,
        };
        let refusal = match wire::registered(&self.ask(method, &parameters(contact)).await?) {
            Err(AskError::Refused(refusal)) if wire::may_be_known(contact, &refusal) => refusal,
            made => return made,
        };
        match self.look_up(contact).await {
            Ok(Some(profile)) => Ok(profile.provider_user),
            Ok(None) | Err(AskError::Refused(_)) => Err(AskError::Refused(refusal)),
            Err(other) => Err(other),
        }
    }

    /// `info` (section 4.3).
    async fn find(&self, contact: &Contact) -> Result<Profile, AskError> {
        self.look_up(contact).await?.ok_or_else(|| AskError::Unavailable("the answer tells of nobody".to_owned()))
    }

    /// `getByUidAndSymbol` (section 4.4).
    async fn balance(&self, user: &str, provider_coin_id: &str) -> Result<Balance, AskError> {
        wire::balance(&self.ask(GET_BY_UID_AND_SYMBOL, &[("uid", user), ("symbol", provider_coin_id)]).await?, provider_coin_id)
    }

    /// `getAllAccount` (section 4.5).
    async fn balances(&self, user: &str) -> Result<Vec<Balance>, AskError> {
        wire::balances(&self.ask(GET_ALL_ACCOUNT, &[("uid", user)]).await?)
    }

    /// `getDepositAddress` (section 4.6).
    async fn address(&self, user: &str, provider_coin_id: &str) -> Result<String, AskError> {
        wire::address(&self.ask(GET_DEPOSIT_ADDRESS, &[("uid", user), ("symbol", provider_coin_id)]).await?, user)
    }
}

#[async_trait]
impl Coins for Hicoin {
    /// `getCoinList` (section 4.10).
    async fn coins(&self) -> Result<Vec<Coin>, String> {
        wire::coins(&self.send(GET_COIN_LIST, &[], None).await.map_err(CallFailure::reason)?)
    }
}

impl Notices for Hicoin {
    fn subject(&self, body: &[u8]) -> Result<Subject, String> {
        wire::subject(body).map_err(|unreadable| unreadable.0)
    }
}

#[cfg(test)]
#[path = "hicoin_tests.rs"]
mod tests;
