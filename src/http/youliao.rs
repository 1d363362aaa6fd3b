//! `/v1/youliao/authorizations`: persons who are authorised at Youliao.

use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{HttpResponse, get, post, web};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};
use utoipa::{IntoParams, ToSchema};

use super::auth::{Authorized, MakesDeposits, Reads};
use super::body::{Fields, Json, Query};
use super::detached;
use super::lists::{List, limit};
use super::problem::Problem;
use crate::domain::authorization::{self as person, Status};
use crate::domain::ids::AuthorizationId;
use crate::domain::money::Amount;
use crate::flows::Context;
use crate::flows::authorization::{self, Applicant, AuthorizationRow};
use crate::flows::error::FlowError;

/// Youliao counts in fen.
const DECIMALS: u32 = 2;

/// A person to be authorised.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAuthorization {
    /// The person's mobile number in mainland China, 11 digits.
    #[schema(value_type = String, example = "13800138000")]
    mobile: SecretString,
    /// The person's real name, 1 to 64 characters.
    #[schema(value_type = String, example = "王小明")]
    name: SecretString,
    /// The person's identity number, 18 characters with a check digit.
    #[schema(value_type = String, example = "11010519491231002X")]
    identity: SecretString,
    /// How much, in yuan: above zero, at most two decimals.
    #[schema(example = "1.23")]
    amount: String,
}

impl NewAuthorization {
    fn read(&self, mut fields: Fields, today: Date) -> Result<Applicant, FlowError> {
        let mobile = fields.read("/mobile", person::mobile(self.mobile.expose_secret()));
        let name = fields.read("/name", person::name(self.name.expose_secret()));
        let identity = fields.read("/identity", person::identity(self.identity.expose_secret(), today));
        let amount = fields.read("/amount", Amount::parse(&self.amount).and_then(|amount| amount.within_decimals(DECIMALS)));
        let all = mobile.zip(name).zip(identity.zip(amount));
        fields.finish(all.map(|((mobile, name), (identity, amount))| Applicant { mobile, name, identity, amount }))
    }
}

/// An authorisation that was asked for. Of the person it shows little.
#[derive(Serialize, ToSchema)]
pub struct AuthorizationBody {
    /// Its id.
    #[schema(example = "aut_0193f2a7c1d07e3fb0a4d2a1c5e60001")]
    id: String,
    /// Always `authorization`.
    #[schema(example = "authorization")]
    object: &'static str,
    /// `granted`; `refused`; `unknown` where no answer tells.
    status: Status,
    /// The mobile number's last four digits.
    #[schema(example = "****8000")]
    mobile: String,
    /// The name's first character. A name of one character is a `*`.
    #[schema(example = "王**")]
    name: String,
    /// The identity number's last four characters.
    #[schema(example = "****002X")]
    identity: String,
    /// How much, in yuan.
    #[schema(value_type = String, example = "1.23")]
    amount: Amount,
    /// Where the person's browser goes. A credential, which works for whoever has it: it is in the answer to the
    /// request that was granted, and never shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "https://yliao.example/oAuth?token=D2C-%242a%2410%24iWwx...")]
    redirect_url: Option<String>,
    /// When it was asked for.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

impl From<AuthorizationRow> for AuthorizationBody {
    fn from(row: AuthorizationRow) -> Self {
        Self {
            id: row.id.to_string(),
            object: "authorization",
            status: row.status,
            mobile: format!("****{}", row.mobile_last_four),
            name: row.name_masked,
            identity: format!("****{}", row.identity_last_four),
            amount: row.amount,
            redirect_url: None,
            created_at: row.created_at,
        }
    }
}

/// Which authorisations.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuthorizationQuery {
    /// Most on a page, 1 to 100; 20 if absent.
    limit: Option<String>,
    /// The id of the last one of the page before.
    starting_after: Option<String>,
}

/// Authorise a person at Youliao
///
/// Asks Youliao once, and gives the address where the person's browser goes. Youliao believes whatever it is told: make sure
/// that it is true. Every request is one of its own; no money moves, so that repeating one does no harm.
#[utoipa::path(tag = "youliao", request_body = NewAuthorization,
    responses(
        (status = 201, description = "Youliao gave a token: send the person to `redirect_url`.", body = AuthorizationBody),
        (status = 422, description = "`validation_failed`, `youliao_refused` (with Youliao's words), `provider_not_configured`, `provider_disabled`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`provider_unavailable`: nothing is known; repeat the request.", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["deposits:write"])))]
#[post("/v1/youliao/authorizations")]
pub async fn authorize(
    context: web::Data<Context>,
    caller: Authorized<MakesDeposits>,
    body: Json<NewAuthorization>,
) -> Result<HttpResponse, Problem> {
    let today = person::today_in_china(context.clock.now());
    let applicant = body.0.read(|body, fields| body.read(fields, today))?;
    let merchant = caller.merchant();
    let (row, redirect) = detached(async move { authorization::ask(&context, merchant, &applicant).await }).await?;
    let body = AuthorizationBody { redirect_url: Some(redirect.expose_secret().to_owned()), ..row.into() };
    Ok(HttpResponse::Created().insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store"))).json(body))
}

/// List authorisations
///
/// All that were asked for, newest first, also those that Youliao refused and those whose outcome is unknown.
#[utoipa::path(tag = "youliao", params(AuthorizationQuery),
    responses((status = 200, body = List<AuthorizationBody>), (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["orders:read"])))]
#[get("/v1/youliao/authorizations")]
pub async fn list(
    context: web::Data<Context>,
    caller: Authorized<Reads>,
    query: Query<AuthorizationQuery>,
) -> Result<web::Json<List<AuthorizationBody>>, Problem> {
    let (limit, after) = query.0.read(|query, mut fields| {
        let limit = limit(&mut fields, query.limit.as_deref());
        let after = fields.read("starting_after", query.starting_after.map(|text| AuthorizationId::parse(&text)).transpose());
        fields.finish(limit.zip(after))
    })?;
    let merchant = caller.merchant();
    let (found, more) = detached(async move { authorization::list(&context, merchant, after, limit).await }).await?;
    let data = found.into_iter().map(AuthorizationBody::from).collect();
    Ok(web::Json(List::new(data, more, |one: &AuthorizationBody| one.id.clone())))
}
