//! Capabilities: unguessable URLs, each of which grants one thing.
//!
//! FOMO's callbacks are not signed, so that the address they go to is: it names the order and
//! carries a keyed hash of it. It needs no row of its own and dies with the vault's key.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;
use uuid::Uuid;

use super::Context;
use super::error::FlowError;
use crate::domain::ids::{MerchantId, OrderId};
use crate::domain::order::{Order, Provider};

const CALLBACK: &str = "callback";
const PAY: &str = "pay";
const RETURN: &str = "return";
const NOTICE: &str = "notice";
const TAG: usize = 24;

/// Where the provider reports this order to.
pub fn callback_url(context: &Context, order: &Order) -> Result<Url, FlowError> {
    let text = URL_SAFE_NO_PAD.encode(bytes(context, CALLBACK, order));
    let path = format!("callbacks/{}/{text}", order.provider);
    context.public_url.join(&path).map_err(|error| FlowError::Internal(error.to_string()))
}

/// Where the customer's browser goes to pay this order.
pub fn pay_url(context: &Context, order: &Order) -> Result<Url, FlowError> {
    let path = format!("pay/{}", URL_SAFE_NO_PAD.encode(bytes(context, PAY, order)));
    context.public_url.join(&path).map_err(|error| FlowError::Internal(error.to_string()))
}

/// The order that a link for paying names.
pub fn open_pay(context: &Context, text: &str) -> Option<(MerchantId, OrderId)> {
    open_bytes(context, PAY, &URL_SAFE_NO_PAD.decode(text).ok()?)
}

/// What the customer's browser brings back from the page where this order is paid: letters and digits.
pub fn return_state(context: &Context, order: &Order) -> String {
    hex::encode(bytes(context, RETURN, order))
}

/// The order that a browser's state names.
pub fn open_return(context: &Context, state: &str) -> Option<(MerchantId, OrderId)> {
    open_bytes(context, RETURN, &hex::decode(state).ok()?)
}

fn bytes(context: &Context, purpose: &'static str, order: &Order) -> Vec<u8> {
    let message = message(order.merchant_id, order.id);
    [&message[..], &context.vault.tag(purpose, &message)[..TAG]].concat()
}

/// Where the provider gives notice of anything that happens in an account.
pub fn notice_url(context: &Context, merchant: MerchantId, provider: Provider) -> Result<Url, FlowError> {
    let message = account_message(merchant, provider);
    let tag = context.vault.tag(NOTICE, message.as_bytes());
    let text = URL_SAFE_NO_PAD.encode([merchant.0.as_bytes(), &tag[..TAG]].concat());
    let path = format!("callbacks/{provider}/{text}");
    context.public_url.join(&path).map_err(|error| FlowError::Internal(error.to_string()))
}

/// The merchant whose account at `provider` a notice's capability names; `None` if we did not make it.
pub fn open_notice(context: &Context, provider: Provider, text: &str) -> Option<MerchantId> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (id, tag) = bytes.split_first_chunk::<16>()?;
    let merchant = MerchantId(Uuid::from_bytes(*id));
    let genuine = tag.len() == TAG && context.vault.verify(NOTICE, account_message(merchant, provider).as_bytes(), tag);
    genuine.then_some(merchant)
}

fn account_message(merchant: MerchantId, provider: Provider) -> String {
    format!("{provider}/{merchant}")
}

/// The order that a callback's capability names; `None` if we did not make it.
pub fn open(context: &Context, text: &str) -> Option<(MerchantId, OrderId)> {
    open_bytes(context, CALLBACK, &URL_SAFE_NO_PAD.decode(text).ok()?)
}

fn open_bytes(context: &Context, purpose: &'static str, bytes: &[u8]) -> Option<(MerchantId, OrderId)> {
    let (message, tag) = bytes.split_first_chunk::<32>()?;
    if tag.len() != TAG || !context.vault.verify(purpose, message, tag) {
        return None;
    }
    let merchant = Uuid::from_slice(&message[..16]).ok()?;
    let order = Uuid::from_slice(&message[16..]).ok()?;
    Some((MerchantId(merchant), OrderId(order)))
}

fn message(merchant: MerchantId, order: OrderId) -> [u8; 32] {
    let mut message = [0; 32];
    message[..16].copy_from_slice(merchant.0.as_bytes());
    message[16..].copy_from_slice(order.0.as_bytes());
    message
}
