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
const NOTICE: &str = "notice";
const TAG: usize = 24;

/// Where the provider reports this order to.
pub fn callback_url(context: &Context, order: &Order) -> Result<Url, FlowError> {
    let message = message(order.merchant_id, order.id);
    let tag = context.vault.tag(CALLBACK, &message);
    let text = URL_SAFE_NO_PAD.encode([&message[..], &tag[..TAG]].concat());
    let path = format!("callbacks/{}/{text}", order.provider);
    context.public_url.join(&path).map_err(|error| FlowError::Internal(error.to_string()))
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
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (message, tag) = bytes.split_first_chunk::<32>()?;
    if tag.len() != TAG || !context.vault.verify(CALLBACK, message, tag) {
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
