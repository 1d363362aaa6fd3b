//! Receipts, as the merchant sees them: what came in, and giving what is nobody's to an order.

use serde_json::json;

use super::Context;
use super::error::FlowError;
use super::page;
use super::read;
use super::settle::{Change, Notes, settle_page};
use super::tenant::tenant;
use crate::domain::audit::By;
use crate::domain::event::ReceiptBody;
use crate::domain::ids::{MerchantId, ReceiptId, TradeId};
use crate::domain::money::Amount;
use crate::domain::order::{Kind, Order, Provider};
use crate::domain::receipt::{Progress, Receipt, Takings};
use crate::domain::report::{Channel, Report, Says};
pub use crate::store::receipts::Filter;
use crate::store::receipts::{self, ReceiptRow};

/// Tries to write before giving up on an order that changes all the time.
const TRIES: usize = 50;

/// Receipts, newest first, at most `limit`; and whether there are more.
pub async fn list(context: &Context, merchant: MerchantId, filter: &Filter, limit: usize) -> Result<(Vec<ReceiptBody>, bool), FlowError> {
    let found = receipts::list(&mut *context.db.get().await?, merchant, filter, page::asked(limit)).await?;
    let (found, more) = page::shown(found, limit);
    Ok((found.iter().map(body).collect::<Result<_, _>>()?, more))
}

/// Gives a receipt that is nobody's to a deposit. Giving it twice is giving it once.
pub async fn assign(
    context: &Context,
    merchant: MerchantId,
    by: &By,
    id: ReceiptId,
    trade_id: &TradeId,
    reason: &str,
) -> Result<ReceiptBody, FlowError> {
    let entry = by.does(merchant, context.clock.now(), "receipt.assign", ("receipt", id.to_string())).because(reason);
    let entry = entry.before(json!({ "trade_id": null })).after(json!({ "trade_id": trade_id }));
    for _ in 0..TRIES {
        let row = row(context, merchant, id).await?;
        if row.trade_id.as_deref() == Some(trade_id.as_str()) {
            return body(&row);
        }
        let order = match read::order(context, merchant, Kind::Deposit, trade_id).await {
            Err(FlowError::NotFound(_)) => return Err(FlowError::field("/trade_id", "order_unknown", "there is no such deposit")),
            other => other?,
        };
        check(&row, &order)?;
        let account = tenant(context, merchant).await?.account(order.provider)?.clone();
        let mut all = of_order(context, &order).await?;
        all.push(row.receipt()?);
        let says = Says::Receipts(Takings::of(&all));
        let report = Report { channel: Channel::Operator, proven: true, says, evidence: None };
        let change = Change { hears: vec![row.version()], entry: Some(entry.clone()), ..Change::new(order, report, Notes::default()) };
        if settle_page(context, &account, &[change], &[]).await?.iter().all(Option::is_some) {
            return body(&self::row(context, merchant, id).await?);
        }
    }
    Err(FlowError::Internal("the order changes faster than it can be written".to_owned()))
}

/// Says no to what cannot be this order's money.
fn check(row: &ReceiptRow, order: &Order) -> Result<(), FlowError> {
    let same = |one: bool, what: &str| match one {
        true => Ok(()),
        false => Err(FlowError::field("/trade_id", "receipt_mismatch", format!("the order is about another {what}"))),
    };
    if row.order_id.is_some() {
        return Err(FlowError::conflict("receipt_assigned", "this receipt is another order's already"));
    }
    if row.progress == <&str>::from(Progress::Abnormal) {
        return Err(FlowError::conflict("receipt_abnormal", "the provider found something wrong with this money: it does not count"));
    }
    same(row.provider == <&str>::from(order.provider), "provider")?;
    same(row.provider_coin_id == order.provider_coin_id, "coin")?;
    if order.is_final {
        return Err(FlowError::conflict("order_is_final", "the order is final; make a new deposit and give the receipt to that"));
    }
    Ok(())
}

/// The receipts of an order.
pub async fn of_order(context: &Context, order: &Order) -> Result<Vec<Receipt>, FlowError> {
    let rows = receipts::of_order(&mut *context.db.get().await?, order.merchant_id, order.id).await?;
    Ok(rows.iter().map(ReceiptRow::receipt).collect::<Result<_, _>>()?)
}

async fn row(context: &Context, merchant: MerchantId, id: ReceiptId) -> Result<ReceiptRow, FlowError> {
    receipts::get(&mut *context.db.get().await?, merchant, id).await?.ok_or(FlowError::NotFound("receipt"))
}

/// A receipt as it is shown.
pub fn body(row: &ReceiptRow) -> Result<ReceiptBody, FlowError> {
    let receipt = row.receipt()?;
    let provider: Provider = row.provider.parse().map_err(|_| FlowError::Internal("a receipt of an unknown provider".to_owned()))?;
    Ok(ReceiptBody {
        id: receipt.id.to_string(),
        object: "receipt",
        provider,
        provider_receipt_id: receipt.number,
        status: receipt.progress,
        trade_id: row.trade_id.clone(),
        customer: receipt.customer.map(|customer| customer.to_string()),
        coin: row.coin.clone(),
        amount: receipt.amount,
        fee: row.fee.and_then(Amount::from_decimal),
        address: receipt.address,
        txid: receipt.txid,
        confirmations: receipt.confirmations,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}
