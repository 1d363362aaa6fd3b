//! Authorisations: asking Youliao about a person, once.
//!
//! What was asked is written down before the call, so that nothing that left is forgotten. Of the person
//! only keyed hashes, last characters and a masked name are kept, and nothing is logged. The token that
//! Youliao gives is a credential: it is handed on in the one answer and kept nowhere.

use secrecy::{ExposeSecret, SecretString};

use super::Context;
use super::error::FlowError;
use super::page;
use super::tenant::tenant;
use crate::domain::authorization::{Status, last_four, masked_name};
use crate::domain::ids::{AuthorizationId, MerchantId};
use crate::domain::order::Provider;
pub use crate::providers::Applicant;
use crate::providers::AskError;
pub use crate::store::authorizations::AuthorizationRow;
use crate::store::authorizations::{self, NewAuthorization};

/// What mobile numbers are hashed for.
const MOBILE: &str = "youliao-mobile";
/// What identity numbers are hashed for.
const IDENTITY: &str = "youliao-identity";

/// Asks Youliao to authorise somebody. Gives what may be seen of it, and the address where the person's browser goes.
pub async fn ask(context: &Context, merchant: MerchantId, applicant: &Applicant) -> Result<(AuthorizationRow, SecretString), FlowError> {
    let tenant = tenant(context, merchant).await?;
    let youliao = tenant.authorizations()?;
    let mut row = visible(context, applicant);
    let new = NewAuthorization {
        merchant_id: merchant,
        row: &row,
        mobile_tag: tag(context, merchant, MOBILE, &applicant.mobile),
        identity_tag: tag(context, merchant, IDENTITY, &applicant.identity),
    };
    authorizations::insert(&mut *context.db.get().await?, &new).await?;
    let answer = youliao.authorize(applicant).await;
    row.status = status(&answer);
    if row.status != Status::Unknown {
        let now = context.clock.now();
        authorizations::answer(&mut *context.db.get().await?, merchant, row.id, row.status, now).await?;
    }
    let redirect = answer.map_err(|error| refused(error, merchant, row.id))?;
    Ok((row, redirect))
}

/// What may be seen of somebody, before Youliao has answered.
fn visible(context: &Context, applicant: &Applicant) -> AuthorizationRow {
    AuthorizationRow {
        id: AuthorizationId(context.clock.new_uuid()),
        status: Status::Unknown,
        mobile_last_four: last_four(applicant.mobile.expose_secret()),
        identity_last_four: last_four(applicant.identity.expose_secret()),
        name_masked: masked_name(applicant.name.expose_secret()),
        amount: applicant.amount,
        created_at: context.clock.now(),
    }
}

/// The keyed hash of a number. The same number at another merchant has another one, so that the table does not tell who shares a person.
fn tag(context: &Context, merchant: MerchantId, purpose: &'static str, number: &SecretString) -> [u8; 32] {
    context.vault.tag(purpose, &[merchant.0.as_bytes(), number.expose_secret().as_bytes()].concat())
}

fn status(answer: &Result<SecretString, AskError>) -> Status {
    match answer {
        Ok(_) => Status::Granted,
        Err(AskError::Refused(_) | AskError::Misconfigured(_)) => Status::Refused,
        Err(AskError::Unavailable(_)) => Status::Unknown,
    }
}

/// The merchant is told Youliao's own words; the log, which lasts, is not.
fn refused(error: AskError, merchant: MerchantId, authorization: AuthorizationId) -> FlowError {
    let provider = Provider::Youliao;
    let code = match error {
        AskError::Unavailable(why) => return FlowError::ProviderUnavailable(why),
        AskError::Misconfigured(code) => {
            tracing::error!(%merchant, %provider, %authorization, code = code.code, "the provider refuses our credentials or our clock");
            code
        }
        AskError::Refused(code) => {
            tracing::info!(%merchant, %provider, %authorization, "an authorisation was refused");
            code
        }
    };
    FlowError::field("", "youliao_refused", format!("youliao refused it: {}", code.message))
}

/// Authorisations that were asked for, newest first, at most `limit`; and whether there are more.
pub async fn list(
    context: &Context,
    merchant: MerchantId,
    starting_after: Option<AuthorizationId>,
    limit: usize,
) -> Result<(Vec<AuthorizationRow>, bool), FlowError> {
    let found = authorizations::list(&mut *context.db.get().await?, merchant, starting_after, page::asked(limit)).await?;
    Ok(page::shown(found, limit))
}
