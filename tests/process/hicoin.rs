//! Hicoin in these tests: the three ways that money goes out, and what comes in.

use rust_decimal::Decimal;
use serde_json::{Value, json};
use tillgate::sandbox::{HicoinApp, HicoinError, HicoinTo};

use crate::house::House;
use crate::program::until;
use crate::talk::Answer;

/// Ada's and Bob's numbers at Hicoin, in the order of their registration; and somebody whom the merchant does not know.
pub const ADA_UID: u64 = 10_001;
pub const BOB_UID: u64 = 10_002;
pub const STRANGER_UID: u64 = 10_777;
/// Deposits of the same names.
pub const FROM_ADA: &str = "from-ada";
pub const FROM_BOB: &str = "from-bob";
/// An address on the chain.
const ADDRESS: &str = "0x754b0c610e311d0d00c810ef857b4dd989a67162";

/// A way for money to go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `withdraw`, onto the chain.
    ToAddress,
    /// `systemTransfer`.
    ToUser,
    /// `userTransfer`.
    BetweenUsers,
}

pub const ALL: &[Way] = &[Way::ToAddress, Way::ToUser, Way::BetweenUsers];

impl Way {
    /// The name of an order that goes this way.
    pub const fn order(self) -> &'static str {
        match self {
            Self::ToAddress => "the-withdrawal",
            Self::ToUser => "the-payout",
            Self::BetweenUsers => "the-transfer",
        }
    }

    /// The call that moves the money.
    pub const fn call(self) -> &'static str {
        match self {
            Self::ToAddress => "withdraw",
            Self::ToUser => "systemTransfer",
            Self::BetweenUsers => "userTransfer",
        }
    }

    /// The list that tells of it.
    pub const fn list(self) -> &'static str {
        match self {
            Self::ToAddress => "withdrawList",
            Self::ToUser => "systemTransferList",
            Self::BetweenUsers => "transferList",
        }
    }

    /// The merchant's request.
    pub fn wish(self, trade_id: &str) -> (&'static str, Value) {
        let with = |own: Value| {
            let all = json!({ "trade_id": trade_id, "provider": "hicoin", "coin": "ETH", "amount": "1" });
            all.as_object().into_iter().chain(own.as_object()).flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        match self {
            Self::ToAddress => {
                ("/v1/payouts", with(json!({ "destination": { "type": "address", "address": ADDRESS, "on_chain_only": true } })))
            }
            Self::ToUser => ("/v1/payouts", with(json!({ "destination": { "type": "hicoin_user", "uid": ADA_UID.to_string() } }))),
            Self::BetweenUsers => ("/v1/transfers", with(json!({ "from_customer": "ada", "to_customer": "bob" }))),
        }
    }
}

/// A deposit that the merchant asks for.
pub fn deposit_wish(trade_id: &str, customer: &str, amount: Decimal) -> Value {
    json!({ "trade_id": trade_id, "provider": "hicoin", "coin": "ETH", "amount": amount.to_string(), "customer": customer })
}

impl House {
    /// There is money to pay out: the merchant's, and Ada's.
    pub fn fund_hicoin(&self) {
        for uid in [HicoinApp::default().uid, ADA_UID] {
            self.sandbox.set_hicoin_balance(None, uid, "ETH", Decimal::from(1_000_000)).expect("a balance");
        }
    }

    /// Ada and Bob become known at Hicoin.
    pub async fn register_customers(&self) {
        for customer in ["ada", "bob"] {
            let wish = json!({ "customer": customer, "email": format!("{customer}@shop.example") });
            until(&format!("{customer} is registered"), async || {
                let made = self.try_call("POST", "/v1/customers", Some(&wish)).await.ok()?;
                matches!(made.status, 200 | 201).then_some(())
            })
            .await;
        }
    }

    /// A payout comes to its end.
    pub async fn warm_up_at_hicoin(&self) {
        self.pay_out(Way::ToUser, "warm-payout").await;
        self.comes_to("warm-payout", &["succeeded"]).await;
    }

    /// A deposit comes to its end.
    pub async fn warm_up_by_a_deposit(&self) {
        self.ask_for("warm-deposit", "ada", Decimal::ONE).await;
        let number = self.pay_in(ADA_UID, "ETH", Decimal::ONE);
        self.comes_to("warm-deposit", &["processing/confirming"]).await;
        self.sandbox.hicoin_finish(None, number).expect("a deposit");
        self.comes_to("warm-deposit", &["succeeded"]).await;
    }

    /// Asks for money to go out.
    pub async fn pay_out(&self, way: Way, trade_id: &str) -> Answer {
        let (path, wish) = way.wish(trade_id);
        let created = self.post(path, &wish).await;
        assert_eq!(created.status, 201, "{:?}", created.body);
        created
    }

    /// Asks for a deposit, which is expected from then on.
    pub async fn ask_for(&self, trade_id: &str, customer: &str, amount: Decimal) {
        let created = self.post("/v1/deposits", &deposit_wish(trade_id, customer, amount)).await;
        assert_eq!((created.status, created.text("status")), (201, "awaiting_payment"), "{created:?}");
    }

    /// Somebody pays; Hicoin's lists show it as pending. Gives its number.
    pub fn pay_in(&self, uid: u64, coin: &str, amount: Decimal) -> u64 {
        self.sandbox.hicoin_deposit(None, &HicoinTo::Uid(uid), coin, amount).expect("a deposit")
    }

    /// Ada and Bob are asked for two coins each.
    pub async fn ask_both(&self) {
        for (trade_id, customer) in [(FROM_ADA, "ada"), (FROM_BOB, "bob")] {
            self.ask_for(trade_id, customer, Decimal::TWO).await;
        }
    }

    /// Ada pays at once, Bob in two parts, and there is money that nobody was asked for: of Ada in another coin, and of
    /// somebody unknown. Gives Hicoin's numbers.
    pub fn everybody_pays(&self) -> Vec<u64> {
        let half = Decimal::new(5, 1);
        let all = [
            (ADA_UID, "ETH", Decimal::TWO),
            (BOB_UID, "ETH", half),
            (ADA_UID, "USDT", Decimal::TEN),
            (BOB_UID, "ETH", Decimal::TWO - half),
            (STRANGER_UID, "ETH", Decimal::ONE),
        ];
        all.into_iter().map(|(uid, coin, amount)| self.pay_in(uid, coin, amount)).collect()
    }

    /// The chain confirms these movements; those that are confirmed stay so.
    pub fn confirm(&self, numbers: &[u64]) {
        for number in numbers {
            assert!(matches!(self.sandbox.hicoin_finish(None, *number), Ok(()) | Err(HicoinError::Settled)));
        }
    }

    /// What everybody paid comes to its end: both deposits succeed, and what nobody was asked for is nobody's.
    pub async fn everything_is_credited(&self, numbers: &[u64]) {
        self.confirm(numbers);
        self.heard(numbers, "confirmed").await;
        for trade_id in [FROM_ADA, FROM_BOB] {
            self.comes_to(trade_id, &["succeeded"]).await;
            let order = self.get(&format!("/v1/deposits/{trade_id}")).await;
            assert_eq!((order.text("amount_received"), order.text("amount_confirmed")), ("2", "2"), "{}", self.story(trade_id).await);
        }
        let unmatched = self.get("/v1/receipts?unmatched=true").await;
        assert_eq!(unmatched.body["data"].as_array().map(Vec::len), Some(2), "{unmatched:?}");
    }

    /// How many of these incoming movements are stored at this standing, and how many of those nobody has heard of.
    pub async fn receipts(&self, numbers: &[u64], progress: &str) -> (i64, i64) {
        let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        sqlx::query_as(
            "SELECT count(*), count(*) FILTER (WHERE unheard) FROM receipts
             WHERE provider = 'hicoin' AND provider_receipt_id = ANY($1) AND progress = $2",
        )
        .bind(numbers)
        .bind(progress)
        .fetch_one(&mut *self.eyes.lock().await)
        .await
        .expect("a count")
    }

    /// Waits until the feed is not being read.
    pub async fn nobody_reads(&self) {
        let sql = "SELECT bool_and(leased_until IS NULL) FROM deposit_feeds";
        let idle = async || sqlx::query_scalar::<_, Option<bool>>(sql).fetch_one(&mut *self.eyes.lock().await).await.expect("an answer");
        until("nobody reads the feed", async || idle().await.filter(|idle| *idle).map(drop)).await;
    }

    /// Waits until these movements are stored at this standing, and heard of.
    pub async fn heard(&self, numbers: &[u64], progress: &str) {
        let all = i64::try_from(numbers.len()).expect("a count");
        let what = format!("all {all} receipts are heard as {progress}");
        until(&what, async || (self.receipts(numbers, progress).await == (all, 0)).then_some(())).await;
    }
}
