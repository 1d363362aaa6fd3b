use super::*;
use crate::domain::ids::{CustomerId, MerchantId, OrderId, TradeId};
use crate::domain::order::{Destination, Kind, Provider};

/// A payout of 12.5 usdt to FOMO's user 42.
pub fn payout(state: State) -> Order {
    let created_at = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
    Order {
        merchant_id: MerchantId(uuid::Uuid::from_u128(1)),
        id: OrderId(uuid::Uuid::from_u128(2)),
        trade_id: TradeId::parse("trade-1").unwrap(),
        kind: Kind::Payout,
        provider: Provider::Fomo,
        state,
        sequence: 1,
        coin: "usdt".into(),
        provider_coin_id: "5".into(),
        decimals: 6,
        amount: Amount::parse("12.5").unwrap(),
        amount_received: Amount::ZERO,
        amount_confirmed: Amount::ZERO,
        fee: None,
        late: false,
        customer: None,
        destination: Some(Destination::FomoUser { user_id: "42".into() }),
        provider_user: Some("42".into()),
        next_action: None,
        provider_reference: None,
        txid: None,
        confirmations: None,
        failure: None,
        claim: None,
        doubts: 0,
        doubt_since: None,
        is_final: false,
        final_at: None,
        expires_at: None,
        metadata: None,
        created_at,
        updated_at: created_at,
    }
}

/// A deposit of 12.5 usdt by the customer who is FOMO's user 42.
pub fn deposit(state: State) -> Order {
    let order = payout(state);
    let expires_at = Some(order.created_at + std::time::Duration::from_mins(15));
    Order { kind: Kind::Deposit, destination: None, customer: Some(CustomerId::parse("customer-7").unwrap()), expires_at, ..order }
}
