//! What an order costs before it touches the network or the disk: signing, reading what wallets send, hearing a report, the state
//! machine, rendering an event. Run by `make bench`; compare figures of one run only.

#![allow(clippy::unwrap_used, reason = "a benchmark fails by a panic")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use secrecy::SecretString;
use serde_json::json;
use tillgate::domain::account::Policy;
use tillgate::domain::agenda::Timing;
use tillgate::domain::event::EventBody;
use tillgate::domain::hearing::{Rules, hear};
use tillgate::domain::ids::{MerchantId, OrderId, TradeId};
use tillgate::domain::money::Amount;
use tillgate::domain::order::{Birth, Destination, Kind, Order, Provider};
use tillgate::domain::report::{Channel, ProviderRecord, Report, Says, Standing};
use tillgate::domain::status::{Circumstances, Fact, Payout, PayoutFact, State, advance};
use tillgate::providers::hicoin::wire::{List, listed};
use tillgate::providers::http::Sent;
use tillgate::providers::{fomo, hicoin};
use tillgate::webhooks::{self, Secret};
use time::OffsetDateTime;
use uuid::Uuid;

fn submitted_payout() -> Order {
    let birth = Birth {
        merchant_id: MerchantId(Uuid::from_u128(1)),
        id: OrderId(Uuid::from_u128(2)),
        trade_id: TradeId::parse("payout-1001").unwrap(),
        kind: Kind::Payout,
        provider: Provider::Fomo,
        coin: "usdt".into(),
        provider_coin_id: "5".into(),
        decimals: 6,
        amount: Amount::parse("12.5").unwrap(),
        at: OffsetDateTime::UNIX_EPOCH,
    };
    Order {
        state: State::Payout(Payout::Submitting),
        sequence: 2,
        destination: Some(Destination::FomoUser { user_id: "42".into() }),
        provider_user: Some("42".into()),
        ..Order::new(birth)
    }
}

fn pure(criterion: &mut Criterion) {
    let order = submitted_payout();
    let record = ProviderRecord {
        amount: Some(order.amount),
        coin: Some("5".into()),
        user: Some("42".into()),
        reference: Some("7781".into()),
        fee: Some(Amount::ZERO),
        ..ProviderRecord::new(Standing::Paid)
    };
    let report = Report { channel: Channel::Callback, proven: true, says: Says::Record(record), evidence: None };
    let (policy, timing) = (Policy::default(), Timing::default());
    let rules = Rules { policy: &policy, timing: &timing, now: OffsetDateTime::UNIX_EPOCH };
    criterion.bench_function("hear a callback", |bench| bench.iter(|| hear(black_box(&order), black_box(&report), rules)));
    criterion.bench_function("render an event", |bench| bench.iter(|| serde_json::to_string(&EventBody::of(black_box(&order)))));
    criterion.bench_function("read an amount", |bench| bench.iter(|| Amount::parse(black_box("1234567.890123456789"))));
}

/// A page of Hicoin's list of withdrawals, and the ids that were asked for.
fn page() -> (Sent, Vec<TradeId>) {
    let entry = |number: usize| {
        json!({
            "request_id": format!("payout-{number}"), "id": number, "uid": 10_000, "symbol": "ETH", "amount": "0.0002",
            "withdraw_fee_symbol": "ETH", "withdraw_fee": "0.0001", "fee_symbol": "", "real_fee": "0", "created_at": 1_545_273_830_000_i64,
            "updated_at": 1_545_273_830_000_i64, "address_from": "", "address_to": "0x754b0c610e311d0d00c810ef857b4dd989a67162",
            "txid": "", "confirmations": 0, "saas_status": 1, "company_status": 1, "status": 1,
        })
    };
    let body = json!({ "code": "0", "msg": "suc", "data": (0..100).map(entry).collect::<Vec<_>>() }).to_string().into_bytes();
    let ids = (0..100).map(|number| TradeId::parse(&format!("payout-{number}")).unwrap()).collect();
    (Sent { status: 200, body, location: None }, ids)
}

fn wallets(criterion: &mut Criterion) {
    let secret = SecretString::from("4dedb14fae76dae682de02e671eac408");
    let call = [
        ("app_id", "16a9f17fc2ad61ca4339fdd6a8a37f21"),
        ("request_id", "payout-1001"),
        ("from_uid", "10000"),
        ("to_address", "0x754b0c610e311d0d00c810ef857b4dd989a67162"),
        ("amount", "12.5"),
        ("symbol", "ETH"),
        ("time", "1551325752"),
    ];
    criterion.bench_function("sign a call of FOMO", |bench| bench.iter(|| fomo::sign::sign(black_box(&secret), black_box(1_551_325_752))));
    criterion.bench_function("sign a call of Hicoin", |bench| bench.iter(|| hicoin::sign::sign(black_box(&call), black_box(&secret))));
    let callback = b"transfer_id=7781&user_id=42&trade_id=payout-1001&coin_id=5&amount=12.5&cut_amount=0&direction=2&status=1";
    assert!(fomo::wire::callback(callback).is_ok(), "it can be read");
    criterion.bench_function("read a callback of FOMO", |bench| bench.iter(|| fomo::wire::callback(black_box(callback))));
    let (sent, ids) = page();
    assert!(listed(List::Withdrawals, &sent, &ids).is_ok_and(|page| page.len() == 100), "it can be read");
    criterion.bench_function("read a page of 100 of Hicoin", |bench| {
        bench.iter(|| listed(List::Withdrawals, black_box(&sent), black_box(&ids)));
    });
}

fn rules_and_webhooks(criterion: &mut Criterion) {
    let circumstances = Circumstances { doubts: 0, is_final: false };
    let states = State::all(Kind::Payout);
    let facts = [PayoutFact::Claimed, PayoutFact::Unknown, PayoutFact::Accepted, PayoutFact::Paid, PayoutFact::Failed];
    criterion.bench_function("the state machine, each state of a payout and five facts", |bench| {
        bench.iter(|| {
            for state in black_box(&states) {
                for fact in facts {
                    let _ = black_box(advance(*state, Fact::Payout(fact), circumstances));
                }
            }
        });
    });
    let body = serde_json::to_string(&EventBody::of(&submitted_payout())).unwrap();
    let secrets = [Secret::generate(&[7; 32])];
    criterion.bench_function("sign a webhook", |bench| {
        bench.iter(|| {
            webhooks::sign(black_box(&secrets), "evt_0198f2a74b1c7d3e9f00112233445566", 1_551_325_752, black_box(body.as_bytes()))
        });
    });
}

criterion_group!(benches, pure, wallets, rules_and_webhooks);
criterion_main!(benches);
