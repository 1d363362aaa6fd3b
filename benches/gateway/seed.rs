//! Orders that are there before a lane begins, written in bulk. Their ids and trade ids are made of their numbers.

use uuid::Uuid;

use crate::rig::house::House;

/// The first half of the ids: a time in 2023.
const TIME: u128 = 0x018b_cfe5_6800;

/// The id of the order of a number.
pub fn order_id(number: u64) -> Uuid {
    Uuid::from_u128(TIME << 80 | u128::from(number))
}

/// Payouts that have ended, from `first` to `last`: history. Their steps and events are left out, for nothing reads them here;
/// triggers and foreign keys are off while they are written, so that ten million take minutes.
pub async fn history(house: &House<'_>, first: u64, last: u64) -> anyhow::Result<()> {
    orders(house, (first, last), "'succeeded', NULL", "true, now()").await
}

/// Payouts at FOMO that wait for their callback, with the task of each.
pub async fn open_payouts(house: &House<'_>, first: u64, last: u64) -> anyhow::Result<()> {
    orders(house, (first, last), "'processing', 'accepted'", "false, NULL").await?;
    let merchant = house.rig.merchant;
    house
        .run(&format!(
            "INSERT INTO tasks (merchant_id, order_id, work, due_at, tries)
             SELECT '{merchant}', ('018bcfe56800' || lpad(to_hex(n), 20, '0'))::uuid, 'look', now() + interval '1 day', 0
             FROM generate_series({first}, {last}) n"
        ))
        .await
}

/// Payouts to an address that Hicoin has taken, with the question about each due now.
pub async fn open_withdrawals(house: &House<'_>, first: u64, last: u64) -> anyhow::Result<()> {
    let merchant = house.rig.merchant;
    house
        .run(&format!(
            "SET session_replication_role = replica;
             INSERT INTO orders (merchant_id, order_id, trade_id, kind, provider, status, stage, sequence, coin, provider_coin_id, decimals,
                 amount, tolerance, amount_received, amount_confirmed, late, destination, source_user, doubts, is_final, fingerprint, created_at, updated_at)
             SELECT '{merchant}', ('018bcfe56800' || lpad(to_hex(n), 20, '0'))::uuid, 'seed-' || n, 'payout', 'hicoin', 'processing', 'accepted', 3,
                 'ETH', 'ETH', 18, 1, 0, 0, 0, false,
                 '{{\"type\": \"address\", \"address\": \"0x754b0c610e311d0d00c810ef857b4dd989a67162\"}}', '10000', 0, false,
                 decode(repeat('00', 32), 'hex'), now(), now()
             FROM generate_series({first}::bigint, {last}) n;
             INSERT INTO tasks (merchant_id, order_id, work, lane, due_at, tries)
             SELECT '{merchant}', ('018bcfe56800' || lpad(to_hex(n), 20, '0'))::uuid, 'poll', 'hicoin/to_address', now(), 0
             FROM generate_series({first}::bigint, {last}) n"
        ))
        .await
}

async fn orders(house: &House<'_>, (first, last): (u64, u64), state: &str, end: &str) -> anyhow::Result<()> {
    let merchant = house.rig.merchant;
    house
        .run(&format!(
            "SET session_replication_role = replica;
             INSERT INTO orders (merchant_id, order_id, trade_id, kind, provider, status, stage, sequence, coin, provider_coin_id, decimals,
                 amount, tolerance, amount_received, amount_confirmed, late, destination, provider_user, doubts, is_final, final_at,
                 fingerprint, created_at, updated_at)
             SELECT '{merchant}', ('018bcfe56800' || lpad(to_hex(n), 20, '0'))::uuid, 'seed-' || n, 'payout', 'fomo', {state}, 3, 'usdt', '5', 6,
                 12.5, 0, 0, 0, false, '{{\"type\": \"fomo_user\", \"user_id\": \"42\"}}', '42', 0, {end},
                 decode(repeat('00', 32), 'hex'), now(), now()
             FROM generate_series({first}::bigint, {last}) n"
        ))
        .await
}
