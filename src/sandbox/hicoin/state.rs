//! What Hicoin remembers: merchants' apps, each with users, accounts, deposits and orders of its own.

use std::collections::BTreeMap;

use super::account::Accounts;
use super::deposit::Deposits;
use super::setup::{HicoinApp, HicoinCoin};
use super::transfer::Transfer;
use super::user::User;
use super::wire::HicoinStyle;
use super::withdrawal::Withdrawal;

/// Orders to pay are numbered from here on, so that none is taken for a deposit, which are numbered from 1.
const FIRST_ORDER: u64 = 100_001;

/// What holds for all apps.
pub(in crate::sandbox) struct Rules {
    pub(super) style: HicoinStyle,
    pub(super) duplicate_check: bool,
    pub(super) auto_advance: bool,
    /// Every call comes from an address that is not on the merchant's list (code 100007).
    pub(super) refuse_ip: bool,
}

impl Rules {
    pub(in crate::sandbox) fn new(duplicate_check: bool, auto_advance: bool) -> Self {
        Self { style: HicoinStyle::default(), duplicate_check, auto_advance, refuse_ip: false }
    }
}

pub(super) struct State {
    pub(super) apps: BTreeMap<String, App>,
    /// The app that is meant where none is named.
    pub(super) first: String,
    pub(super) rules: Rules,
}

impl State {
    pub(super) fn new(apps: Vec<HicoinApp>, coins: &[HicoinCoin], rules: Rules) -> Self {
        let first = apps.first().map(|app| app.app_id.clone()).unwrap_or_default();
        let apps = apps.into_iter().map(|setup| (setup.app_id.clone(), App::new(setup, coins.to_vec()))).collect();
        Self { apps, first, rules }
    }
}

/// One merchant's app.
pub(super) struct App {
    pub(super) setup: HicoinApp,
    pub(super) coins: Vec<HicoinCoin>,
    pub(super) users: BTreeMap<u64, User>,
    pub(super) accounts: Accounts,
    pub(super) deposits: Deposits,
    pub(super) withdrawals: Vec<Withdrawal>,
    pub(super) transfers: Vec<Transfer>,
    next_order: u64,
    /// Where notices go; `None`: nobody is told.
    pub(super) notice_url: Option<String>,
}

impl App {
    fn new(setup: HicoinApp, coins: Vec<HicoinCoin>) -> Self {
        Self {
            users: BTreeMap::from([(setup.uid, User::merchant())]),
            setup,
            coins,
            accounts: Accounts::default(),
            deposits: Deposits::default(),
            withdrawals: Vec::new(),
            transfers: Vec::new(),
            next_order: FIRST_ORDER,
            notice_url: None,
        }
    }

    pub(super) fn coin(&self, symbol: &str) -> Option<&HicoinCoin> {
        self.coins.iter().find(|coin| coin.symbol == symbol)
    }

    /// Whether an order to pay has this id, of whichever kind it is.
    pub(super) fn has_order(&self, request_id: &str) -> bool {
        self.withdrawals.iter().any(|one| one.request_id == request_id) || self.transfers.iter().any(|one| one.request_id == request_id)
    }

    /// The next number of a withdrawal or transfer.
    pub(super) fn order_id(&mut self) -> u64 {
        let id = self.next_order;
        self.next_order += 1;
        id
    }
}
