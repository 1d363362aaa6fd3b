//! The page on which a user pays (fomo-web.txt, section 三, 2), and the payout at its address (section 三, 3). The
//! access_token travels in the query; the wallet password does not travel at all.

use rust_decimal::Decimal;
use url::Url;

use super::{PAY, TITLE, path};
use crate::sandbox::fomo::Desk;
use crate::sandbox::fomo::code::{self, Refusal};
use crate::sandbox::fomo::state::{ClientSetup, Coin};
use crate::sandbox::fomo::transfer::{Direction, Stage};
use crate::sandbox::page::{Page, Redirect, Reply, escape};

const PAYMENT: [&str; 13] = [
    "direction",
    "timestamp",
    "sign",
    "trade_id",
    "amount",
    "coin_id",
    "user_id",
    "access_token",
    "client_id",
    "redirect_uri",
    "state",
    "scope",
    "response_type",
];

/// What the redirect repeats of the request, behind the status.
const ECHO: [&str; 8] = ["trade_id", "amount", "coin_id", "user_id", "access_token", "client_id", "redirect_uri", "state"];

/// The document has no code for a user who does not want to pay. 0 is what callbacks of the app flow say of a payment
/// that failed (fomo-app.txt, section 四).
const CANCELLED: i64 = 0;

impl Desk<'_> {
    /// Section 三, 2: shows who asks for how much. What could not be paid is sent back at once.
    pub(super) fn pay_page(&self) -> Result<Reply, Refusal> {
        let (client, back) = self.way_back()?;
        let (coin, amount) = match self.check_payment(&client, "1") {
            Ok(found) => found,
            Err(refusal) => return Ok(self.outcome(back, refusal.code)),
        };
        let body = format!(
            include_str!("pay.html"),
            app = escape(&client.client_id),
            user = escape(&self.label(self.form.get("user_id"))),
            amount = amount,
            coin = escape(&coin.name),
            trade_id = escape(self.form.get("trade_id")),
            action = escape(&path(PAY)),
            carried = self.carried(&PAYMENT) + &self.carried(&["server_uri"]),
        );
        Ok(Reply::Page(Page::new(TITLE, &body)))
    }

    /// Section 三, 2: the user has decided.
    pub(super) fn web_pay(&mut self) -> Result<Reply, Refusal> {
        let (client, back) = self.way_back()?;
        let status = match self.form.get("decision") {
            "pay" => self.pay_by_web(client, Direction::Deposit),
            "cancel" => CANCELLED,
            _ => return Err(Refusal::parameter("decision")),
        };
        Ok(self.outcome(back, status))
    }

    /// Section 三, 3: the merchant pays a user at once.
    pub(super) fn web_pay_user(&mut self) -> Result<Reply, Refusal> {
        let (client, back) = self.way_back()?;
        let status = self.pay_by_web(client, Direction::Payout);
        Ok(self.outcome(back, status))
    }

    /// FOMO fails with this code, which is asked for by a fault.
    pub(super) fn web_pay_fails(&self, code: i64) -> Result<Reply, Refusal> {
        let (_, back) = self.way_back()?;
        Ok(self.outcome(back, code))
    }

    fn pay_by_web(&mut self, client: ClientSetup, direction: Direction) -> i64 {
        self.try_to_pay(client, direction).map_or_else(|refusal| refusal.code, |()| code::SUCCESS)
    }

    fn try_to_pay(&mut self, client: ClientSetup, direction: Direction) -> Result<(), Refusal> {
        let sent = match direction {
            Direction::Deposit => "1",
            Direction::Payout => "2",
        };
        let (coin, amount) = self.check_payment(&client, sent)?;
        let user_id = self.form.get("user_id").to_owned();
        let mut transfer = self.open(direction, client.client_id, user_id, coin, amount);
        let executed = self.execute(&mut transfer);
        // What was refused for lack of money leaves nothing behind, so its trade_id may be used again.
        if transfer.stage != Stage::Waiting {
            self.state.transfers.add(transfer);
        }
        executed
    }

    /// Every check but those of `way_back` and the balance. The token must be the user's own, given to this app.
    fn check_payment(&self, client: &ClientSetup, direction: &str) -> Result<(Coin, Decimal), Refusal> {
        self.form.require(&PAYMENT)?;
        self.check_sign(client)?;
        self.check_fixed(direction)?;
        if !self.form.get("server_uri").is_empty() {
            self.check_server_uri()?;
        }
        let user_id = self.form.get("user_id");
        if !self.state.users.contains_key(user_id) {
            return Err(code::NO_SUCH_USER.into());
        }
        let grant = self.bearer()?;
        if grant.user_id != user_id {
            return Err(code::SESSION.into());
        }
        if grant.client_id != client.client_id {
            return Err(code::NOT_PERMITTED.into());
        }
        grant.permits("paytoken")?;
        let found = self.coin_and_amount()?;
        self.check_unused(client)?;
        Ok(found)
    }

    /// The status, and the request once more, as it came.
    fn outcome(&self, back: Url, status: i64) -> Reply {
        let echo = ECHO.iter().map(|name| (*name, self.form.get(name).to_owned()));
        Reply::Redirect(Redirect::to(back, std::iter::once(("status", status.to_string())).chain(echo).collect()))
    }
}
