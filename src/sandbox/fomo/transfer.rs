//! Transfers: deposits that wait or are paid, and payouts.

use std::collections::HashMap;

use rust_decimal::Decimal;

/// Who pays whom.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// The user pays the merchant.
    Deposit,
    /// The merchant pays the user.
    Payout,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Waits for the user's confirmation.
    Waiting,
    /// The money has moved.
    Paid,
    /// The money has not moved and never will.
    Failed,
}

#[derive(Clone)]
pub(super) struct Transfer {
    pub(super) transfer_id: String,
    pub(super) trade_id: String,
    pub(super) client_id: String,
    pub(super) user_id: String,
    pub(super) coin_id: String,
    pub(super) amount: Decimal,
    pub(super) cut: Decimal,
    pub(super) direction: Direction,
    pub(super) stage: Stage,
    pub(super) created_at_ms: i64,
    pub(super) server_uri: String,
}

impl Transfer {
    /// 1: the user pays the merchant; 2: the merchant pays the user.
    pub(super) fn direction(&self) -> &'static str {
        match self.direction {
            Direction::Deposit => "1",
            Direction::Payout => "2",
        }
    }

    /// 1: paid; 0: not paid.
    pub(super) fn status(&self) -> &'static str {
        if self.stage == Stage::Paid { "1" } else { "0" }
    }

    /// An unconfirmed payment lapses after three minutes (fomo-app.txt, section 三, 3).
    pub(super) fn has_lapsed(&self, now_ms: i64) -> bool {
        self.stage == Stage::Waiting && now_ms.saturating_sub(self.created_at_ms) > 180_000
    }
}

/// All transfers, found by FOMO's id or by the merchant's.
#[derive(Default)]
pub(super) struct Transfers {
    list: Vec<Transfer>,
    by_transfer_id: HashMap<String, usize>,
    /// trade_id to every transfer that carries it: of several apps, or repeated without the duplicate check.
    by_trade_id: HashMap<String, Vec<usize>>,
}

impl Transfers {
    pub(super) fn add(&mut self, transfer: Transfer) {
        let index = self.list.len();
        self.by_transfer_id.insert(transfer.transfer_id.clone(), index);
        self.by_trade_id.entry(transfer.trade_id.clone()).or_default().push(index);
        self.list.push(transfer);
    }

    pub(super) fn get(&self, transfer_id: &str) -> Option<&Transfer> {
        self.list.get(*self.by_transfer_id.get(transfer_id)?)
    }

    pub(super) fn get_mut(&mut self, transfer_id: &str) -> Option<&mut Transfer> {
        self.list.get_mut(*self.by_transfer_id.get(transfer_id)?)
    }

    /// The transfers with this trade_id, oldest first.
    pub(super) fn with_trade_id(&self, trade_id: &str) -> impl DoubleEndedIterator<Item = &Transfer> {
        let indexes = self.by_trade_id.get(trade_id).map_or(&[][..], Vec::as_slice);
        indexes.iter().filter_map(|index| self.list.get(*index))
    }
}
