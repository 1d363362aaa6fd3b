//! Lists: one page after the other by the last id seen; no offset, no total.

use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};
use utoipa::{IntoParams, ToSchema};

use super::body::Fields;
use super::orders::coin_name;
use crate::domain::ids::{CustomerId, OrderId};
use crate::domain::order::{Kind, Provider};
use crate::domain::status::State;
use crate::flows::error::FlowError;
use crate::flows::read::Filter;

const PAGE: usize = 20;
const LARGEST_PAGE: usize = 100;

/// A page of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct List<T> {
    /// Always `list`.
    #[schema(example = "list")]
    pub object: &'static str,
    /// What is on this page.
    pub data: Vec<T>,
    /// There is another page.
    pub has_more: bool,
    /// Give this as `starting_after` to get it. Null on the last page.
    pub next_cursor: Option<String>,
}

impl<T> List<T> {
    /// A page; `id` names its last item.
    pub fn new(data: Vec<T>, has_more: bool, id: impl Fn(&T) -> String) -> Self {
        let next_cursor = data.last().filter(|_| has_more).map(id);
        Self { object: "list", data, has_more, next_cursor }
    }
}

/// What a list of orders shows.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OrderQuery {
    /// Most orders on a page, 1 to 100; 20 if absent.
    limit: Option<String>,
    /// The id of the last order of the page before.
    starting_after: Option<String>,
    /// Statuses, any of them, separated by commas.
    #[param(example = "processing,requires_review")]
    status: Option<String>,
    /// A provider.
    provider: Option<String>,
    /// Your id of a customer.
    customer: Option<String>,
    /// A coin's name.
    coin: Option<String>,
    /// Created at this time (RFC 3339) or later.
    #[param(example = "2026-01-31T00:00:00Z")]
    created_gte: Option<String>,
    /// Created before this time (RFC 3339).
    created_lt: Option<String>,
}

impl OrderQuery {
    /// What to look for, and how many.
    pub fn read(self, kind: Kind, mut fields: Fields) -> Result<(Filter, usize), FlowError> {
        let limit = limit(&mut fields, self.limit.as_deref());
        let after = self.starting_after.map(|text| OrderId::parse(&text, kind)).transpose();
        let filter = Filter {
            starting_after: fields.read("starting_after", after).flatten(),
            status: fields.read("status", self.status.map(|text| statuses(&text, kind)).transpose()).flatten(),
            provider: fields
                .read("provider", self.provider.map(|text| provider(&text)).transpose())
                .flatten()
                .map(|found| found.to_string()),
            customer: fields
                .read("customer", self.customer.map(|text| CustomerId::parse(&text)).transpose())
                .flatten()
                .map(|found| found.to_string()),
            coin: fields.read("coin", self.coin.map(|text| coin_name(&text)).transpose()).flatten(),
            created_gte: fields.read("created_gte", self.created_gte.map(|text| moment(&text)).transpose()).flatten(),
            created_lt: fields.read("created_lt", self.created_lt.map(|text| moment(&text)).transpose()).flatten(),
        };
        fields.finish(limit.map(|limit| (filter, limit)))
    }
}

/// How many items a page has at most.
pub fn limit(fields: &mut Fields, text: Option<&str>) -> Option<usize> {
    let read = |text: &str| text.parse().ok().filter(|limit| (1..=LARGEST_PAGE).contains(limit)).ok_or("must be a number from 1 to 100");
    fields.read("limit", text.map_or(Ok(PAGE), read))
}

/// A provider's name.
pub fn provider(text: &str) -> Result<Provider, &'static str> {
    text.parse().map_err(|_| "must be fomo, hicoin or youliao")
}

fn statuses(text: &str, kind: Kind) -> Result<Vec<String>, String> {
    let known = |status: &str| State::all(kind).iter().any(|state| state.status() == status);
    text.split(',')
        .map(|status| if known(status) { Ok(status.to_owned()) } else { Err(format!("a {kind} has no status {status:?}")) })
        .collect()
}

/// A time, in UTC.
pub fn moment(text: &str) -> Result<OffsetDateTime, &'static str> {
    // At the end of the calendar a time can be beyond it in UTC.
    let read = OffsetDateTime::parse(text, &Rfc3339).ok().and_then(|time| time.checked_to_offset(UtcOffset::UTC));
    read.ok_or("must be a time such as 2026-01-31T00:00:00Z")
}
