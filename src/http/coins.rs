//! `/v1/coins`: what may be ordered.

use actix_web::{get, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::auth::{Authorized, Reads};
use super::body::{Query, of_query};
use super::detached;
use super::lists::{List, provider};
use super::problem::Problem;
use crate::domain::coin::Coin;
use crate::flows::tenant::tenant;
use crate::flows::{Context, coins};

/// Whose coins.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CoinQuery {
    /// The provider.
    #[param(example = "fomo")]
    provider: Option<String>,
}

/// List coins
///
/// All coins of a provider, in one shape. While the provider is down the last good list is shown.
#[utoipa::path(tag = "coins", params(CoinQuery),
    responses((status = 200, body = List<Coin>),
        (status = 503, description = "`provider_unavailable`: it cannot be asked and was never asked before.", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["orders:read"])))]
#[get("/v1/coins")]
pub async fn list(
    context: web::Data<Context>,
    caller: Authorized<Reads>,
    query: Query<CoinQuery>,
) -> Result<web::Json<List<Coin>>, Problem> {
    let wanted = query.0.read(|query, mut fields| {
        let wanted = query.provider.ok_or("must name the provider whose coins to list").and_then(|text| provider(&text));
        let wanted = fields.read("provider", wanted);
        fields.finish(wanted)
    })?;
    let merchant = caller.merchant();
    let coins = detached(async move {
        let tenant = tenant(&context, merchant).await?;
        coins::list(&context, merchant, tenant.account(wanted).map_err(of_query)?).await
    })
    .await?;
    Ok(web::Json(List::new(coins.to_vec(), false, |coin| coin.provider_coin_id.clone())))
}
