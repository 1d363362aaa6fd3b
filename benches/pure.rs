//! What an order costs before it touches the network or the disk: signing, hearing a report, rendering an event.
//! Run by `make bench`; compare figures of one run only.

#![allow(clippy::unwrap_used, reason = "a benchmark fails by a panic")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tillgate::domain::account::Policy;
use tillgate::domain::agenda::Timing;
use tillgate::domain::event::EventBody;
use tillgate::domain::hearing::{Rules, hear};
use tillgate::domain::ids::{MerchantId, OrderId, TradeId};
use tillgate::domain::money::Amount;
use tillgate::domain::order::{Birth, Destination, Kind, Order, Provider};
use tillgate::domain::report::{Channel, ProviderRecord, Report, Says, Standing};
use tillgate::domain::status::{Payout, State};
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

criterion_group!(benches, pure);
criterion_main!(benches);
