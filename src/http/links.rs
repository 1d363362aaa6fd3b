//! `/v1/customers/{customer}/links`: customers' accounts at wallets.

use actix_web::{HttpResponse, delete, get, post, web};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::auth::{Authorized, MakesDeposits, Reads};
use super::body::{Fields, Json, short_text};
use super::customers::path_customer;
use super::detached;
use super::lists::{List, provider};
use super::problem::Problem;
use crate::domain::ids::CustomerId;
use crate::domain::order::Provider;
use crate::flows::error::FlowError;
use crate::flows::link::LinkRow;
use crate::flows::{self, Context};

/// A link to be made with the code that the wallet's app gave.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLink {
    /// `fomo`.
    #[schema(example = "fomo")]
    provider: String,
    /// The code from the wallet's app. It works once.
    #[schema(value_type = String, example = "b1946ac9")]
    code: SecretString,
}

impl NewLink {
    fn read(self, mut fields: Fields) -> Result<(Provider, SecretString), FlowError> {
        let provider = fields.read("/provider", provider(&self.provider));
        let code = self.code.expose_secret();
        let fine = code.len() <= 2048 && !code.trim().is_empty() && !code.chars().any(char::is_control);
        fields.check("/code", fine, "must be the code that the wallet's app gave");
        fields.finish(provider.map(|provider| (provider, self.code)))
    }
}

/// A customer's account at a wallet.
#[derive(Debug, Serialize, ToSchema)]
pub struct LinkBody {
    /// Always `link`.
    #[schema(example = "link")]
    object: &'static str,
    /// Your id of the customer.
    #[schema(example = "customer-7")]
    customer: String,
    /// The wallet.
    provider: Provider,
    /// The wallet's id of the user.
    #[schema(example = "42")]
    provider_user: String,
    /// `active`, or `expired`: then a new link is needed.
    #[schema(example = "active")]
    status: String,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    linked_at: OffsetDateTime,
    /// Until when it lasts, unless it is renewed before (which we do).
    #[serde(with = "time::serde::rfc3339")]
    renewable_until: OffsetDateTime,
}

impl LinkBody {
    fn new(customer: &CustomerId, row: LinkRow) -> Self {
        Self {
            object: "link",
            customer: customer.to_string(),
            provider: row.provider,
            provider_user: row.provider_user,
            status: row.status,
            linked_at: row.linked_at,
            renewable_until: row.refresh_expires_at,
        }
    }
}

/// Link a customer's wallet
///
/// Linking again replaces the link. The tokens stay with us, sealed.
#[utoipa::path(tag = "customers", params(("customer" = String, Path, description = "Your id of the customer")), request_body = NewLink,
    responses((status = 201, body = LinkBody),
        (status = 409, description = "`link_taken`: the wallet account is another customer's.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`code_refused`", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["deposits:write"])))]
#[post("/v1/customers/{customer}/links")]
pub async fn link(
    context: web::Data<Context>,
    caller: Authorized<MakesDeposits>,
    path: web::Path<String>,
    body: Json<NewLink>,
) -> Result<HttpResponse, Problem> {
    let customer = path_customer(&path)?;
    let (provider, code) = body.0.read(NewLink::read)?;
    let (merchant, owner) = (caller.merchant(), customer.clone());
    let row = detached(async move { flows::link::create(&context, merchant, owner, provider, &code).await }).await?;
    Ok(HttpResponse::Created().json(LinkBody::new(&customer, row)))
}

/// List a customer's links
#[utoipa::path(tag = "customers", params(("customer" = String, Path, description = "Your id of the customer")),
    responses((status = 200, body = List<LinkBody>), (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["orders:read"])))]
#[get("/v1/customers/{customer}/links")]
pub async fn links(
    context: web::Data<Context>,
    caller: Authorized<Reads>,
    path: web::Path<String>,
) -> Result<web::Json<List<LinkBody>>, Problem> {
    let customer = path_customer(&path)?;
    let (merchant, owner) = (caller.merchant(), customer.clone());
    let rows = detached(async move { flows::link::of_customer(&context, merchant, &owner).await }).await?;
    let data = rows.into_iter().map(|row| LinkBody::new(&customer, row)).collect();
    Ok(web::Json(List::new(data, false, |row: &LinkBody| row.provider.to_string())))
}

/// Forget a link and its tokens
#[utoipa::path(tag = "customers",
    params(("customer" = String, Path, description = "Your id of the customer"), ("provider" = String, Path, description = "The wallet")),
    responses((status = 204, description = "It is forgotten."), (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["deposits:write"])))]
#[delete("/v1/customers/{customer}/links/{provider}")]
pub async fn unlink(
    context: web::Data<Context>,
    caller: Authorized<MakesDeposits>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (customer, wallet) = path.into_inner();
    let customer = path_customer(&customer)?;
    let provider = short_text(&wallet).and_then(|text| provider(&text)).map_err(|_| FlowError::NotFound("link"))?;
    let merchant = caller.merchant();
    detached(async move { flows::link::delete(&context, merchant, customer, provider).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}
