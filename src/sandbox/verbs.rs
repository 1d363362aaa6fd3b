//! The control verbs as methods: playing the user, setting the stage, and reading the books.

use rust_decimal::Decimal;

use super::books::{CallRecord, Entry};
use super::callbacks::{Delivered, PendingCallback};
use super::clock::lock;
use super::faults::{CallbackFault, Fault, Times};
use super::fomo::{Fee, Owner, Style, TokenLife};
use super::page::BrowseError;
use super::{Sandbox, knows};

/// Playing the user and the operator.
impl Sandbox {
    /// Registers a user with a FOMO wallet and logs him in; answers the session_key that his app keeps.
    pub fn create_user(&self, user_id: &str, name: &str, balances: &[(&str, Decimal)]) -> String {
        self.core.fomo.create_user(user_id, name, balances)
    }

    /// Changes a user's wallet password, or takes it away (code 25); `false` for an unknown user.
    pub fn set_user_wallet_pwd(&self, user_id: &str, wallet_pwd: Option<&str>) -> bool {
        self.core.fomo.set_user_wallet_pwd(user_id, wallet_pwd)
    }

    /// The user agrees in the FOMO app, which gets a code for the merchant (fomo-app.txt, section 二, 1).
    ///
    /// # Errors
    /// The status code of FOMO's refusal.
    pub fn authorize(&self, session_key: &str, client_id: &str) -> Result<String, i64> {
        self.core.fomo.authorize(session_key, client_id)
    }

    /// The user confirms a deposit in the FOMO app (fomo-app.txt, section 三, 3). Answers FOMO's status code, or
    /// `None` when a fault swallowed the answer. Without a transfer_id it is the latest with this trade_id.
    pub async fn confirm_pay(&self, trade_id: &str, transfer_id: Option<&str>) -> Option<i64> {
        self.core.fomo.confirm(trade_id, transfer_id).await
    }

    /// The user's browser opens FOMO's page at `url` to agree (fomo-web.txt, section 二, 1), the user is chosen, and
    /// one of the two buttons pressed. Answers where the browser is sent, without going there. Of the URL, path and
    /// query count.
    ///
    /// # Errors
    /// Another page's URL, a page instead of a redirect, or no answer because of a fault.
    pub async fn browse_authorize(&self, url: &str, user_id: &str, approve: bool) -> Result<String, BrowseError> {
        self.core.fomo.browse_authorize(url, user_id, approve).await
    }

    /// The user's browser opens FOMO's page at `url` to pay (fomo-web.txt, section 三, 2) and pays or cancels. Answers
    /// where the browser is sent, without going there. Of the URL, path and query count.
    ///
    /// # Errors
    /// As [`Sandbox::browse_authorize`].
    pub async fn browse_pay(&self, url: &str, approve: bool) -> Result<String, BrowseError> {
        self.core.fomo.browse_pay(url, approve).await
    }

    /// Sets what a user owns of a coin.
    pub fn set_balance(&self, user_id: &str, coin_id: &str, amount: Decimal) {
        self.core.fomo.set_balance(Owner::User(user_id.to_owned()), coin_id, amount);
    }

    /// What a user owns of a coin.
    pub fn balance(&self, user_id: &str, coin_id: &str) -> Decimal {
        self.core.fomo.balance(&Owner::User(user_id.to_owned()), coin_id)
    }

    /// Sets what a merchant's wallet holds of a coin.
    pub fn set_merchant_balance(&self, client_id: &str, coin_id: &str, amount: Decimal) {
        self.core.fomo.set_balance(Owner::Client(client_id.to_owned()), coin_id, amount);
    }

    /// What a merchant's wallet holds of a coin.
    pub fn merchant_balance(&self, client_id: &str, coin_id: &str) -> Decimal {
        self.core.fomo.balance(&Owner::Client(client_id.to_owned()), coin_id)
    }

    /// What FOMO kept of a coin as `cut_amount`.
    pub fn fees_kept(&self, coin_id: &str) -> Decimal {
        self.core.fomo.balance(&Owner::Fees, coin_id)
    }
}

/// Settings.
impl Sandbox {
    /// How answers look from now on.
    pub fn set_style(&self, style: Style) {
        self.core.fomo.set_style(style);
    }

    /// How long tokens live that are issued from now on.
    pub fn set_token_life(&self, life: TokenLife) {
        self.core.fomo.set_token_life(life);
    }

    /// Whether a repeated id is refused (FOMO: code 211, Hicoin: 110088) or executed again.
    pub fn set_duplicate_check(&self, on: bool) {
        self.core.set_duplicate_check(on);
    }

    /// What FOMO keeps of payments in a coin.
    pub fn set_fee(&self, coin_id: &str, fee: Fee) {
        self.core.fomo.set_fee(coin_id, fee);
    }

    /// Registers another redirect_uri for a merchant's app at FOMO; `false` for an unknown app.
    pub fn set_redirect_uri(&self, client_id: &str, redirect_uri: &str) -> bool {
        self.core.fomo.set_redirect_uri(client_id, redirect_uri)
    }

    /// Switches a coin on or off (code 21); `false` for an unknown coin.
    pub fn set_coin_active(&self, coin_id: &str, active: bool) -> bool {
        self.core.fomo.set_coin_active(coin_id, active)
    }

    /// Moves the sandbox's clock on, real or fixed.
    pub fn advance(&self, seconds: i64) {
        self.core.world.clock.advance(seconds);
    }

    /// Fixes the sandbox's clock at an epoch second; `None` returns to real time.
    pub fn set_clock(&self, unix_seconds: Option<i64>) {
        self.core.world.clock.set(unix_seconds);
    }

    /// Now by the sandbox's clock, in epoch milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.core.world.clock.now_ms()
    }
}

/// Faults.
impl Sandbox {
    /// The next call of this operation goes wrong.
    pub fn fault(&self, operation: &str, fault: Fault) {
        self.inject(operation, None, fault, Times::default());
    }

    /// Calls of this operation go wrong: so many, and for one order only if one is named.
    ///
    /// # Panics
    /// On an operation that no provider has: a fault that can never strike makes a test prove nothing.
    pub fn inject(&self, operation: &str, trade_id: Option<&str>, fault: Fault, times: Times) {
        assert!(knows(operation), "the sandbox has no operation `{operation}`");
        self.core.world.faults.add(operation, trade_id, fault, times);
    }

    /// The next callback of this order goes wrong; for [`CallbackFault::Failed`], its payment.
    pub fn callback_fault(&self, trade_id: &str, fault: CallbackFault) {
        self.inject_callback(Some(trade_id), fault, Times::default());
    }

    /// Callbacks go wrong: so many, and for one order only if one is named.
    pub fn inject_callback(&self, trade_id: Option<&str>, fault: CallbackFault, times: Times) {
        self.core.world.faults.add_callback(trade_id, fault, times);
    }

    /// Forgets all faults that have not struck yet.
    pub fn clear_faults(&self) {
        self.core.world.faults.clear();
    }

    /// Lets go every call that hangs now.
    pub fn release(&self) {
        self.core.world.gate.release();
    }

    /// Returns when no call hangs any more, and those that did have done their work.
    pub async fn wait_for_none_held(&self) {
        self.core.world.gate.wait_for_none().await;
    }

    /// Returns when at least so many calls hang.
    pub async fn wait_for_held(&self, count: usize) {
        self.core.world.gate.wait_for(count).await;
    }
}

/// Callbacks and books.
impl Sandbox {
    /// Sends every callback that is pending now once, oldest first (fomo-app.txt, section 四).
    pub async fn deliver_callbacks(&self) -> Vec<Delivered> {
        self.core.world.outbox.deliver(None).await
    }

    /// The callbacks that have not been answered as they should be yet.
    pub fn pending_callbacks(&self) -> Vec<PendingCallback> {
        self.core.world.outbox.pending()
    }

    /// Every movement of money that was executed, in order.
    pub fn books(&self) -> Vec<Entry> {
        lock(&self.core.world.books).entries().to_vec()
    }

    /// How often money moved for an order.
    pub fn executions(&self, trade_id: &str) -> usize {
        lock(&self.core.world.books).executions(trade_id)
    }

    /// How many of those movements the payee has, and keeps. As [`Sandbox::executions`] but for payments on a chain,
    /// which are ordered first and arrive later or never, and for deposits that were undone.
    pub fn paid(&self, trade_id: &str) -> usize {
        lock(&self.core.world.books).paid(trade_id)
    }

    /// Every call that came in, in order, without its secrets.
    pub fn call_log(&self) -> Vec<CallRecord> {
        lock(&self.core.world.books).calls().to_vec()
    }

    /// Where the callback of an order goes, as its latest call said.
    pub fn callback_url(&self, trade_id: &str) -> Option<String> {
        let books = lock(&self.core.world.books);
        let about = books.calls().iter().rev().filter(|call| call.trade_id.as_deref() == Some(trade_id));
        about.filter_map(|call| call.params.get("server_uri")).next().cloned()
    }

    /// How often an operation was called.
    pub fn calls(&self, operation: &str) -> usize {
        lock(&self.core.world.books).calls().iter().filter(|call| call.operation == operation).count()
    }

    /// How often an operation was called for an order, alone or in a list.
    pub fn calls_for(&self, operation: &str, trade_id: &str) -> usize {
        let books = lock(&self.core.world.books);
        let fits = |call: &&CallRecord| call.operation == operation && call.is_about(trade_id);
        books.calls().iter().filter(fits).count()
    }
}
