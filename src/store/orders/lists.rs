//! Pages of orders. Ids are ordered by time, so that an id is the place of a page and of a period: no offset, no count.

use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::ids::{MerchantId, OrderId};
use crate::domain::order::{Kind, Order};
use crate::store::StoreError;
use crate::store::rows::{OrderRow, orders};
use crate::store::session::Session;

/// What a list shows. An absent field filters nothing.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Statuses, any of them.
    pub status: Option<Vec<String>>,
    /// The provider.
    pub provider: Option<String>,
    /// The merchant's customer.
    pub customer: Option<String>,
    /// The coin's name.
    pub coin: Option<String>,
    /// Created then or later.
    pub created_gte: Option<OffsetDateTime>,
    /// Created earlier.
    pub created_lt: Option<OffsetDateTime>,
    /// Only what is older than this order.
    pub starting_after: Option<OrderId>,
}

impl Filter {
    /// The ids among which the page is: from this one on, and up to the other.
    fn places(&self) -> (Uuid, Uuid) {
        const MILLISECOND: time::Duration = time::Duration::MILLISECOND;
        let from = self.created_gte.map_or(Uuid::nil(), |time| OrderId::first_of(time).0);
        // An id tells the millisecond only: orders of the last one are told apart by their rows.
        let until = self.created_lt.map_or(Uuid::max(), |time| OrderId::first_of(time.saturating_add(MILLISECOND)).0);
        (from, self.starting_after.map_or(until, |last| until.min(last.0)))
    }
}

/// The text of the statement: where its rows stand in the order of one index (`key`), and whatever else they have to fit. The latter
/// is one expression, of which no index knows anything: an index on a part of it would have the rows in an order that is not asked for.
macro_rules! page {
    ($head:literal, $key:literal, $foot:literal; $merchant:expr, $kind:expr, $filter:expr, $limit:expr $(, $customer:expr)?) => {{
        let (from, until) = $filter.places();
        sqlx::query_as!(
            OrderRow,
            $head + "SELECT * FROM orders
             WHERE merchant_id = $1 AND " + $key + " AND order_id >= $3 AND order_id < $4
               AND coalesce(kind = $2
                        AND ($5::text[] IS NULL OR status = ANY($5))
                        AND ($6::text IS NULL OR provider = $6)
                        AND ($7::text IS NULL OR coin = $7)
                        AND ($8::timestamptz IS NULL OR created_at >= $8)
                        AND ($9::timestamptz IS NULL OR created_at < $9), false)
             ORDER BY order_id DESC
             LIMIT $10" + $foot,
            $merchant.0,
            $kind.to_string(),
            from,
            until,
            $filter.status.as_deref(),
            $filter.provider,
            $filter.coin,
            $filter.created_gte,
            $filter.created_lt,
            $limit,
            $($customer)?
        )
    }};
}

/// Orders of one kind, newest first, at most `limit`.
pub async fn list(
    connection: &mut Session,
    merchant: MerchantId,
    kind: Kind,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<Order>, StoreError> {
    let rows = if let Some(customer) = &filter.customer {
        page!("", "customer = $11", ""; merchant, kind, filter, limit, customer).fetch_all(connection).await?
    } else if filter.status.is_some() {
        // Each status by itself, for of each there may be few among many; and the newest of them all.
        page!(
            "SELECT page.* FROM (SELECT DISTINCT unnest($5::text[]) AS status) wanted CROSS JOIN LATERAL (",
            "kind = $2 AND status = wanted.status",
            ") page ORDER BY order_id DESC LIMIT $10";
            merchant, kind, filter, limit
        )
        .fetch_all(connection)
        .await?
    } else {
        page!("", "kind = $2", ""; merchant, kind, filter, limit).fetch_all(connection).await?
    };
    orders(rows)
}
