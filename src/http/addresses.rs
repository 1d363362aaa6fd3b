//! `/v1/customers/{customer}/addresses`: where customers pay coins in.

use actix_web::{HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::auth::{Authorized, MakesDeposits, Reads};
use super::body::{Fields, Json};
use super::customers::{made, path_customer};
use super::detached;
use super::lists::{List, provider};
use super::orders::coin_name;
use super::problem::Problem;
use crate::domain::ids::CustomerId;
use crate::domain::order::Provider;
use crate::flows::Context;
use crate::flows::customer::{self, AddressRow};
use crate::flows::error::FlowError;

/// An address that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAddress {
    /// A coin's name, as `/v1/coins` shows it, or the wallet's id of it.
    #[schema(example = "usdt")]
    coin: String,
    /// The wallet. May be absent where only one of yours keeps accounts for customers.
    #[schema(example = "hicoin")]
    provider: Option<String>,
}

impl NewAddress {
    fn read(self, mut fields: Fields) -> Result<(String, Option<Provider>), FlowError> {
        let coin = fields.read("/coin", coin_name(&self.coin));
        let provider = fields.read("/provider", self.provider.map(|text| provider(&text)).transpose());
        fields.finish(coin.zip(provider))
    }
}

/// Where a customer pays a coin in.
#[derive(Debug, Serialize, ToSchema)]
pub struct AddressBody {
    /// Always `address`.
    #[schema(example = "address")]
    object: &'static str,
    /// Your id of the customer.
    #[schema(example = "customer-7")]
    customer: String,
    /// The wallet.
    provider: Provider,
    /// The coin's name, as it was when the address was made.
    #[schema(example = "usdt")]
    coin: String,
    /// The wallet's id of the coin.
    #[schema(example = "5")]
    provider_coin_id: String,
    /// The address.
    #[schema(example = "TJRyWwFs9wTFGZg3JbrVriFbNfCug5tDeC")]
    address: String,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

impl AddressBody {
    fn new(customer: &CustomerId, row: AddressRow) -> Self {
        Self {
            object: "address",
            customer: customer.to_string(),
            provider: row.provider,
            coin: row.coin,
            provider_coin_id: row.provider_coin_id,
            address: row.address,
            created_at: row.created_at,
        }
    }
}

/// Get a customer's address for a coin
///
/// The wallet makes it the first time. It stays the customer's: later the same one comes back, with `Idempotent-Replayed: true`,
/// and the wallet is not asked.
#[utoipa::path(tag = "customers", params(("customer" = String, Path, description = "Your id of the customer")), request_body = NewAddress,
    responses(
        (status = 201, description = "The wallet gave it.", body = AddressBody),
        (status = 200, description = "It was there before (`Idempotent-Replayed: true`).", body = AddressBody),
        (status = 422, description = "`coin_unknown`, `coin_inactive`, `provider_not_configured`, `provider_required`, `provider_disabled`, `users_not_supported`, or the wallet's reason to give none.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`provider_unavailable`: repeat the request.", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["deposits:write"])))]
#[post("/v1/customers/{customer}/addresses")]
pub async fn address(
    context: web::Data<Context>,
    caller: Authorized<MakesDeposits>,
    path: web::Path<String>,
    body: Json<NewAddress>,
) -> Result<HttpResponse, Problem> {
    let customer = path_customer(&path)?;
    let (coin, provider) = body.0.read(NewAddress::read)?;
    let (merchant, owner) = (caller.merchant(), customer.clone());
    let (row, replayed) = detached(async move { customer::address(&context, merchant, &owner, &coin, provider).await }).await?;
    Ok(made(&AddressBody::new(&customer, row), replayed))
}

/// List a customer's addresses
///
/// Those that were asked for. All in one page.
#[utoipa::path(tag = "customers", params(("customer" = String, Path, description = "Your id of the customer")),
    responses((status = 200, body = List<AddressBody>), (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["orders:read"])))]
#[get("/v1/customers/{customer}/addresses")]
pub async fn addresses(
    context: web::Data<Context>,
    caller: Authorized<Reads>,
    path: web::Path<String>,
) -> Result<web::Json<List<AddressBody>>, Problem> {
    let customer = path_customer(&path)?;
    let (merchant, owner) = (caller.merchant(), customer.clone());
    let rows = detached(async move { customer::addresses(&context, merchant, &owner).await }).await?;
    let data = rows.into_iter().map(|row| AddressBody::new(&customer, row)).collect();
    Ok(web::Json(List::new(data, false, |row: &AddressBody| row.provider_coin_id.clone())))
}
