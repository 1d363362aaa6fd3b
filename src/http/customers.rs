//! `/v1/customers`: the accounts that wallets keep for the merchant's customers, and what is in them.

use actix_web::{HttpResponse, get, post, web};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::auth::{Authorized, MakesDeposits, Reads};
use super::body::{Fields, Json, Query, of_query};
use super::detached;
use super::lists::{List, provider};
use super::orders::coin_name;
use super::problem::Problem;
use crate::domain::contact;
use crate::domain::ids::CustomerId;
use crate::domain::money::Amount;
use crate::domain::order::Provider;
use crate::flows::Context;
use crate::flows::customer::{self, Contact, CustomerRow, Owned, UserRow};
use crate::flows::error::FlowError;

/// A customer to be registered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCustomer {
    /// Your id of the customer.
    #[schema(example = "customer-7")]
    customer: String,
    /// The customer's mobile telephone. Counts where both are given.
    mobile: Option<Mobile>,
    /// The customer's e-mail address.
    #[schema(value_type = Option<String>, example = "ada@shop.example")]
    email: Option<SecretString>,
}

/// A mobile telephone.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Mobile {
    /// The country's code with its plus.
    #[schema(example = "+86")]
    country: String,
    /// The number without it, 4 to 15 digits; blanks and hyphens do not count.
    #[schema(value_type = String, example = "138 0013 8000")]
    number: SecretString,
}

impl NewCustomer {
    fn read(self, mut fields: Fields) -> Result<(CustomerId, Option<Contact>), FlowError> {
        let customer = fields.read("/customer", CustomerId::parse(&self.customer));
        let mobile = self.mobile.map(|mobile| {
            let country = fields.read("/mobile/country", contact::country(&mobile.country));
            let number = fields.read("/mobile/number", contact::number(mobile.number.expose_secret()));
            Some(Contact::Mobile { country: country?, number: number? })
        });
        let email = self.email.map(|email| fields.read("/email", contact::email(email.expose_secret())).map(Contact::Email));
        fields.finish(customer.map(|customer| (customer, mobile.or(email).flatten())))
    }
}

/// A customer with its accounts at wallets.
#[derive(Debug, Serialize, ToSchema)]
pub struct CustomerBody {
    /// Always `customer`.
    #[schema(example = "customer")]
    object: &'static str,
    /// Your id of the customer.
    #[schema(example = "customer-7")]
    customer: String,
    /// The accounts that wallets keep for it.
    accounts: Vec<AccountBody>,
    /// When it was registered first.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// The account that a wallet keeps for a customer.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountBody {
    /// The wallet.
    provider: Provider,
    /// The wallet's id of the user.
    #[schema(example = "100042")]
    provider_user: String,
    /// When it was registered there.
    #[serde(with = "time::serde::rfc3339")]
    registered_at: OffsetDateTime,
}

impl CustomerBody {
    fn new(customer: &CustomerId, row: CustomerRow) -> Self {
        let account =
            |user: UserRow| AccountBody { provider: user.provider, provider_user: user.provider_user, registered_at: user.created_at };
        Self {
            object: "customer",
            customer: customer.to_string(),
            accounts: row.users.into_iter().map(account).collect(),
            created_at: row.created_at,
        }
    }
}

/// What a customer owns of a coin at a wallet.
#[derive(Debug, Serialize, ToSchema)]
pub struct BalanceBody {
    /// Always `balance`.
    #[schema(example = "balance")]
    object: &'static str,
    /// The wallet.
    provider: Provider,
    /// The coin's name, as `/v1/coins` shows it.
    #[schema(example = "usdt")]
    coin: String,
    /// The wallet's id of the coin.
    #[schema(example = "5")]
    provider_coin_id: String,
    /// What can be moved.
    #[schema(value_type = String, example = "12.5")]
    available: Amount,
    /// What is held back.
    #[schema(value_type = String, example = "0")]
    locked: Amount,
}

impl From<Owned> for BalanceBody {
    fn from(owned: Owned) -> Self {
        Self {
            object: "balance",
            provider: owned.provider,
            coin: owned.coin,
            provider_coin_id: owned.balance.provider_coin_id,
            available: owned.balance.available,
            locked: owned.balance.locked,
        }
    }
}

/// Which balances.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BalanceQuery {
    /// A coin's name, as `/v1/coins` shows it, or the wallet's id of it; all coins if absent.
    #[param(example = "usdt")]
    coin: Option<String>,
    /// A wallet; all that keep an account for the customer if absent.
    #[param(example = "hicoin")]
    provider: Option<String>,
}

impl BalanceQuery {
    fn read(self, mut fields: Fields) -> Result<(Option<String>, Option<Provider>), FlowError> {
        let coin = fields.read("coin", self.coin.map(|text| coin_name(&text)).transpose());
        let provider = fields.read("provider", self.provider.map(|text| provider(&text)).transpose());
        fields.finish(coin.zip(provider))
    }
}

/// A customer's id from a path.
pub fn path_customer(text: &str) -> Result<CustomerId, FlowError> {
    CustomerId::parse(text).map_err(|error| FlowError::field("customer", "invalid", error.to_string()))
}

/// Register a customer
///
/// Makes an account for the customer at every wallet that keeps accounts for customers, or finds the one that is there.
/// The mobile number or e-mail address goes to the wallets and is not kept. Repeating the request is always safe: the
/// same customer comes back, with `Idempotent-Replayed: true`, and the wallets are not asked.
#[utoipa::path(tag = "customers", request_body = NewCustomer,
    responses(
        (status = 201, description = "It was registered.", body = CustomerBody),
        (status = 200, description = "It was there before (`Idempotent-Replayed: true`).", body = CustomerBody),
        (status = 409, description = "`customer_conflict`: it was registered with another contact. `user_taken`: the wallet account is another customer's.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`validation_failed`, `contact_required`, `provider_not_configured`, `provider_disabled`, or the wallet's reason to refuse the contact.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`provider_unavailable`: nothing is known; repeat the request.", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["deposits:write"])))]
#[post("/v1/customers")]
pub async fn create(
    context: web::Data<Context>,
    caller: Authorized<MakesDeposits>,
    body: Json<NewCustomer>,
) -> Result<HttpResponse, Problem> {
    let (customer, contact) = body.0.read(NewCustomer::read)?;
    let (merchant, by, owner) = (caller.merchant(), caller.by(), customer.clone());
    let (row, replayed) = detached(async move { customer::register(&context, merchant, &by, &owner, contact.as_ref()).await }).await?;
    Ok(made(&CustomerBody::new(&customer, row), replayed))
}

/// Something new, or what was there.
pub fn made(body: &impl Serialize, replayed: bool) -> HttpResponse {
    if replayed {
        return HttpResponse::Ok().insert_header(("Idempotent-Replayed", "true")).json(body);
    }
    HttpResponse::Created().json(body)
}

/// Get a customer
#[utoipa::path(tag = "customers", params(("customer" = String, Path, description = "Your id of the customer")),
    responses((status = 200, body = CustomerBody), (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["orders:read"])))]
#[get("/v1/customers/{customer}")]
pub async fn get(
    context: web::Data<Context>,
    caller: Authorized<Reads>,
    path: web::Path<String>,
) -> Result<web::Json<CustomerBody>, Problem> {
    let customer = path_customer(&path)?;
    let (merchant, owner) = (caller.merchant(), customer.clone());
    let row = detached(async move { customer::of(&context, merchant, &owner).await }).await?;
    Ok(web::Json(CustomerBody::new(&customer, row)))
}

/// List a customer's balances
///
/// As the wallets tell them now. All in one page.
#[utoipa::path(tag = "customers", params(("customer" = String, Path, description = "Your id of the customer"), BalanceQuery),
    responses((status = 200, body = List<BalanceBody>),
        (status = 422, description = "`coin_unknown`, `provider_not_configured`, `users_not_supported`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`provider_unavailable`", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["orders:read"])))]
#[get("/v1/customers/{customer}/balances")]
pub async fn balances(
    context: web::Data<Context>,
    caller: Authorized<Reads>,
    path: web::Path<String>,
    query: Query<BalanceQuery>,
) -> Result<web::Json<List<BalanceBody>>, Problem> {
    let customer = path_customer(&path)?;
    let (coin, provider) = query.0.read(BalanceQuery::read)?;
    let merchant = caller.merchant();
    let owned = detached(async move {
        let owned = customer::balances(&context, merchant, &customer, coin.as_deref(), provider).await;
        owned.map_err(of_query)
    })
    .await?;
    let data = owned.into_iter().map(BalanceBody::from).collect();
    Ok(web::Json(List::new(data, false, |row: &BalanceBody| row.provider_coin_id.clone())))
}
