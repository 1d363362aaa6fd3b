//! `/v1/customers/{customer}/links`: customers' accounts at wallets.

use actix_web::{HttpResponse, delete, get, post, web};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::auth::{Authorized, MakesDeposits, Reads};
use super::body::{Fields, Json, Query, short_text};
use super::customers::path_customer;
use super::detached;
use super::lists::{List, provider};
use super::problem::Problem;
use crate::domain::ids::CustomerId;
use crate::domain::order::Provider;
use crate::flows::error::FlowError;
use crate::flows::link::LinkRow;
use crate::flows::{self, Context};

/// A link to be made: with the code that the wallet's app gave, or by the customer's browser.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLink {
    /// `fomo` or `hicoin`.
    #[schema(example = "fomo")]
    provider: String,
    /// The code from the wallet's app. It works once.
    #[schema(value_type = Option<String>, example = "b1946ac9")]
    code: Option<SecretString>,
    /// Without a code: where the customer's browser goes in the end, at one of your registered origins.
    #[schema(example = "https://shop.example/linked")]
    return_url: Option<String>,
    /// Without a code: what to ask the customer for, in the wallet's words. FOMO: `userinfo paytoken`; Hicoin: `snsapi_base` or
    /// `snsapi_userinfo`.
    #[schema(example = "userinfo paytoken")]
    scope: Option<String>,
}

/// How a link is to be made.
enum Way {
    Code(SecretString),
    Browser { return_url: String, scope: Option<String> },
}

/// A link that the customer's browser makes.
#[derive(Debug, Serialize, ToSchema)]
pub struct JourneyBody {
    /// Always `link_request`.
    #[schema(example = "link_request")]
    object: &'static str,
    /// Your id of the customer.
    #[schema(example = "customer-7")]
    customer: String,
    /// The wallet.
    provider: Provider,
    /// Where to send the customer's browser.
    authorize_url: String,
    /// Until when it may come back.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

/// What a wallet tells of a customer.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProfileBody {
    /// Always `profile`.
    #[schema(example = "profile")]
    object: &'static str,
    /// Your id of the customer.
    #[schema(example = "customer-7")]
    customer: String,
    /// The wallet.
    provider: Provider,
    /// The wallet's id of the user.
    #[schema(example = "42")]
    provider_user: String,
    /// What else it tells, in its own words.
    #[schema(value_type = Object)]
    details: Value,
}

/// Whose profile.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ProfileQuery {
    /// The wallet.
    #[param(example = "fomo")]
    provider: String,
}

impl ProfileQuery {
    fn read(self, mut fields: Fields) -> Result<Provider, FlowError> {
        let provider = fields.read("provider", provider(&self.provider));
        fields.finish(provider)
    }
}

impl NewLink {
    fn read(self, mut fields: Fields) -> Result<(Provider, Way), FlowError> {
        let provider = fields.read("/provider", provider(&self.provider));
        let way = match (self.code, self.return_url) {
            (Some(code), None) => {
                let text = code.expose_secret();
                let fine = text.len() <= 2048 && !text.trim().is_empty() && !text.chars().any(char::is_control);
                fields.check("/code", fine, "must be the code that the wallet's app gave");
                fields.check("/scope", self.scope.is_none(), "belongs to a link by browser, without a code");
                Some(Way::Code(code))
            }
            (None, Some(return_url)) => {
                let scope = fields.read("/scope", self.scope.map(|scope| short_text(&scope)).transpose());
                scope.map(|scope| Way::Browser { return_url, scope })
            }
            (None, None) => fields.read("/code", Err("must be given (or /return_url, for a link by the customer's browser)")),
            (Some(_), Some(_)) => fields.read("/return_url", Err("belongs to a link by browser, without a code")),
        };
        fields.finish(provider.zip(way))
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
/// With a `code` from the wallet's app the link is made at once (201, a link). With a `return_url` the answer tells where to send
/// the customer's browser (200, a link request); it comes back to `return_url` with `link=ok`, `link=denied` or `link=failed`.
/// Linking again replaces the link. The tokens stay with us, sealed.
#[utoipa::path(tag = "customers", params(("customer" = String, Path, description = "Your id of the customer")), request_body = NewLink,
    responses((status = 201, description = "It is linked.", body = LinkBody),
        (status = 200, description = "The customer's browser has to agree.", body = JourneyBody),
        (status = 409, description = "`link_taken`: the wallet account is another customer's.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`code_refused`, `return_url_not_allowed`, `links_not_supported`", body = Problem, content_type = "application/problem+json"),
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
    let (provider, way) = body.0.read(NewLink::read)?;
    let (merchant, by, owner) = (caller.merchant(), caller.by(), customer.clone());
    let code = match way {
        Way::Code(code) => code,
        Way::Browser { return_url, scope } => {
            let begin =
                async move { flows::browser::begin_link(&context, merchant, &by, owner, provider, &return_url, scope.as_deref()).await };
            let journey = detached(begin).await?;
            return Ok(HttpResponse::Ok().json(JourneyBody {
                object: "link_request",
                customer: customer.to_string(),
                provider,
                authorize_url: journey.authorize_url.into(),
                expires_at: journey.expires_at,
            }));
        }
    };
    let row = detached(async move { flows::link::create(&context, merchant, &by, owner, provider, &code).await }).await?;
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
    let (merchant, by) = (caller.merchant(), caller.by());
    detached(async move { flows::link::delete(&context, merchant, &by, customer, provider).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// What a wallet tells of a customer
///
/// FOMO is asked now, with the customer's link; Hicoin has told all that it tells when the link was made.
#[utoipa::path(tag = "customers", params(("customer" = String, Path, description = "Your id of the customer"), ProfileQuery),
    responses((status = 200, body = ProfileBody),
        (status = 503, description = "`provider_unavailable`", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["orders:read"])))]
#[get("/v1/customers/{customer}/profile")]
pub async fn profile(
    context: web::Data<Context>,
    caller: Authorized<Reads>,
    path: web::Path<String>,
    query: Query<ProfileQuery>,
) -> Result<web::Json<ProfileBody>, Problem> {
    let customer = path_customer(&path)?;
    let provider = query.0.read(ProfileQuery::read)?;
    let (merchant, owner) = (caller.merchant(), customer.clone());
    let (row, details) = detached(async move { flows::link::profile(&context, merchant, owner, provider).await }).await?;
    let body = ProfileBody { object: "profile", customer: customer.to_string(), provider, provider_user: row.provider_user, details };
    Ok(web::Json(body))
}
