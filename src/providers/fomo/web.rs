//! FOMO open platform, the flow for browsers: one page for both directions (`fomo-web.txt`, part three).
//!
//! To pay in, the customer's browser opens the page, pays and comes back with the outcome in its
//! address. To pay out, our server opens the page and reads the outcome where the page would send a
//! browser. Both addresses carry the user's token, so that they are made when they are needed and
//! kept nowhere. Nothing in them is signed but the caller.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{Fomo, wire};
use crate::domain::recovery::Capabilities;
use crate::domain::report::Outcome;
use crate::providers::http::{Call, CallFailure};
use crate::providers::{Answer, MoneyCall, Returned, Side, UserPayouts, Wallet, WebDeposits};

/// The page, below the base address.
const PAGE: &str = "oauth2/authorize/pay";

impl Fomo {
    /// The ports of an account that was registered for browsers.
    pub(super) fn web_ports(self: Arc<Self>) -> Wallet {
        let web = Arc::new(FomoWeb(self.clone()));
        Wallet {
            // This document has no code for a trade id that was used before, and no way to ask about a transfer.
            capabilities: Capabilities {
                refuses_duplicates: false,
                lookup_by_trade_id: false,
                lookup_by_reference: false,
                callbacks: false,
                deposit_feed: false,
            },
            coins: self.clone(),
            deposits: None,
            web_deposits: Some(web.clone()),
            payouts_need_token: true,
            user_payouts: web,
            address_payouts: None,
            transfers: None,
            reference_lookups: None,
            trade_lookups: None,
            deposit_feed: None,
            users: None,
            links: Some(self),
            callbacks: None,
            notices: None,
        }
    }
}

/// The account as the flow for browsers uses it.
#[derive(Debug)]
pub(super) struct FomoWeb(pub(super) Arc<Fomo>);

/// Whose money moves, in the page's numbers.
#[derive(Clone, Copy)]
enum Direction {
    In,
    Out,
}

impl FomoWeb {
    /// The page's parameters (part three, sections 2 and 3).
    fn parameters(
        &self,
        direction: Direction,
        call: &MoneyCall,
        side: Side<'_>,
        state: &str,
    ) -> Result<Vec<(&'static str, SecretString)>, String> {
        let token = side.access_token.ok_or("there is no access token of the customer")?;
        let Fomo { account, .. } = &*self.0;
        let signed = self.0.signed(call);
        let plain = |text: &str| SecretString::from(text);
        Ok(vec![
            ("direction", plain(if matches!(direction, Direction::In) { "1" } else { "2" })),
            ("timestamp", plain(&signed.timestamp)),
            ("sign", plain(&signed.sign)),
            ("trade_id", plain(call.trade_id.as_str())),
            ("amount", plain(&signed.amount)),
            ("coin_id", plain(&call.provider_coin_id)),
            ("user_id", plain(side.user)),
            ("access_token", token.clone()),
            ("client_id", plain(&account.client_id)),
            ("redirect_uri", plain(&account.redirect_uri)),
            ("state", plain(state)),
            ("scope", plain("paytoken")),
            ("response_type", plain("code")),
        ])
    }
}

impl WebDeposits for FomoWeb {
    fn pay_page(&self, call: &MoneyCall, payer: Side<'_>, state: &str) -> Result<SecretString, String> {
        let parameters = self.parameters(Direction::In, call, payer, state)?;
        let mut url = self.0.url(PAGE);
        url.query_pairs_mut().extend_pairs(parameters.iter().map(|(name, value)| (*name, value.expose_secret())));
        Ok(String::from(url).into())
    }

    fn read_return(&self, query: &str) -> Result<Returned, String> {
        wire::web::returned(query, &self.0.account.client_id).map_err(|unreadable| unreadable.0)
    }
}

#[async_trait]
impl UserPayouts for FomoWeb {
    /// The page with direction 2, opened by our server (part three, section 3). What it answers is where it would send a browser.
    async fn pay_user(&self, call: &MoneyCall, payee: Side<'_>) -> Answer {
        let state = self.0.clock.new_uuid().simple().to_string();
        let parameters = match self.parameters(Direction::Out, call, payee, &state) {
            Ok(parameters) => parameters,
            Err(why) => return Answer { outcome: Outcome::NotSent(why), evidence: None },
        };
        let query: Vec<(&str, &str)> = parameters.iter().map(|(name, value)| (*name, value.expose_secret())).collect();
        let request = Call::get("fomo pay page", self.0.url(PAGE), &query).before(call.deadline);
        match self.0.http.send(request).await {
            Ok(sent) => {
                let registered = Url::parse(&self.0.account.redirect_uri).ok();
                wire::web::paid(&sent, call, payee.user, registered.as_ref())
            }
            Err(CallFailure::NotSent(why)) => Answer { outcome: Outcome::NotSent(why), evidence: None },
            Err(CallFailure::Unknown(why)) => Answer { outcome: Outcome::Unknown(why), evidence: None },
        }
    }
}
