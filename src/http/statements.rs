//! `/v1/reports/statement`: what moved over a period, streamed.

use std::io;

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::{HttpResponse, get, web};
use bytes::Bytes;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::auth::{Authorized, Reads};
use super::body::Query;
use super::detached;
use super::orders::coin_name;
use super::problem::Problem;
use crate::domain::statement::{Balance, Movement, Period, moment};
use crate::flows::Context;
use crate::flows::statement::{Format, Statement, Wish};

/// Every movement over a period.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatementBody {
    /// Always `statement`.
    object: &'static str,
    /// Booked at this time or later.
    #[serde(with = "time::serde::rfc3339")]
    from: OffsetDateTime,
    /// And before this.
    #[serde(with = "time::serde::rfc3339")]
    to: OffsetDateTime,
    /// How far it goes: `to`, or the present where that is earlier.
    #[serde(with = "time::serde::rfc3339")]
    until: OffsetDateTime,
    /// It goes to its end: the same question is answered by the same bytes for ever.
    closed: bool,
    /// The only coin. Null: all of them.
    coin: Option<String>,
    /// Every movement, oldest first.
    data: Vec<Movement>,
    /// What each coin at each wallet came to.
    footer: Vec<Balance>,
}

/// Which statement.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StatementQuery {
    /// Booked on this day (UTC) or later: a day or a time (RFC 3339).
    #[param(required, example = "2026-01-01")]
    from: Option<String>,
    /// And before this day or time; at most 366 days later.
    #[param(required, example = "2026-02-01")]
    to: Option<String>,
    /// A coin's name; all coins if absent.
    coin: Option<String>,
    /// `json` (if absent), `csv` or `ndjson`.
    format: Option<String>,
}

/// Get a statement
///
/// Every movement of money over a period, oldest first, and for each coin at each wallet what there was before and after. A body
/// that breaks off, or has no footer, is no statement.
#[utoipa::path(tag = "reports", params(StatementQuery),
    responses(
        (status = 200, content((StatementBody = "application/json"), (String = "text/csv"), (String = "application/x-ndjson"))),
        (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["orders:read"])))]
#[get("/v1/reports/statement")]
pub async fn statement(
    context: web::Data<Context>,
    caller: Authorized<Reads>,
    query: Query<StatementQuery>,
) -> Result<HttpResponse, Problem> {
    let (merchant, now) = (caller.merchant(), context.clock.now());
    let wish = query.0.read(|query, mut fields| {
        let day = |text: Option<String>| moment(text.as_deref().unwrap_or_default());
        let from = fields.read("from", day(query.from));
        let to = fields.read("to", day(query.to));
        let coin = fields.read("coin", query.coin.map(|text| coin_name(&text)).transpose());
        let format = query.format.map_or(Ok(Format::default()), |text| text.parse().map_err(|_| "must be json, csv or ndjson"));
        let format = fields.read("format", format);
        let period = from.zip(to).and_then(|(from, to)| match Period::new(from, to, now) {
            Ok(period) => Some(period),
            Err((field, detail)) => fields.read(field, Err::<Period, _>(detail)),
        });
        fields.finish(period.zip(coin).zip(format).map(|((period, coin), format)| Wish { merchant, coin, period, format }))
    })?;
    let (format, period) = (wish.format, wish.period);
    let reader = detached(Statement::open(context.into_inner(), wish)).await?;
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, format.content_type()));
    if format == Format::Csv {
        let name = format!("attachment; filename=\"statement-{}-{}.csv\"", period.from.date(), period.to.date());
        response.insert_header((CONTENT_DISPOSITION, name));
    }
    Ok(response.streaming(stream::try_unfold(reader, piece)))
}

/// The next piece, when the client has taken the last one. What goes wrong by now breaks the body off.
async fn piece(mut reader: Statement) -> Result<Option<(Bytes, Statement)>, io::Error> {
    let read = detached(async move {
        let piece = reader.next().await?;
        Ok(piece.map(|piece| (piece, reader)))
    });
    read.await.map_err(|problem| io::Error::other(problem.to_string()))
}
