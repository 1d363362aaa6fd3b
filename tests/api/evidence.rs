//! What a test looks at: attempts, kept callbacks, discrepancies, and whether anything was written at all.

use serde_json::Value;

use crate::harness::{ADA, TestApp, USDT};

/// The fields of a callback, in the order in which FOMO sends them: repeated bytes are the same callback.
pub type Fields = [(&'static str, String); 8];

/// Says one field differently.
pub fn with(mut fields: Fields, name: &str, value: &str) -> Fields {
    let field = fields.iter_mut().find(|field| field.0 == name).expect("a field of a callback");
    value.clone_into(&mut field.1);
    fields
}

impl TestApp {
    /// Somebody posts a form to an address. Gives the HTTP status.
    pub async fn call_back(&self, url: &str, fields: &Fields) -> u16 {
        self.http.post(url).form(fields).send().await.expect("an answer").status().as_u16()
    }

    /// Somebody posts these bytes to an address. Gives the HTTP status.
    pub async fn call_back_raw(&self, url: &str, content_type: &str, body: Vec<u8>) -> u16 {
        let request = self.http.post(url).header("content-type", content_type).body(body);
        request.send().await.expect("an answer").status().as_u16()
    }

    /// FOMO lets go what it holds, and does the work of it.
    pub async fn release(&self) {
        self.sandbox.release();
        self.sandbox.wait_for_none_held().await;
    }

    /// What FOMO is about to call back of an order.
    pub fn next_callback(&self, trade_id: &str) -> Fields {
        let pending = self.sandbox.pending_callbacks();
        let next = pending.iter().find(|one| one.trade_id == trade_id).expect("FOMO has something to say");
        ["transfer_id", "user_id", "trade_id", "coin_id", "amount", "cut_amount", "direction", "status"]
            .map(|name| (name, next.fields[name].clone()))
    }

    /// A callback that agrees with an order in everything, and says this status. Whether it is true
    /// is another matter.
    pub async fn claim(&self, collection: &str, trade_id: &str, status: &str) -> Fields {
        let order = self.get(&format!("/v1/{collection}/{trade_id}")).await;
        let booked = self.sandbox.books().into_iter().find(|entry| entry.trade_id == trade_id).map(|entry| entry.transfer_id);
        let known = order.body["provider_reference"].as_str().map(str::to_owned);
        let direction = if collection == "deposits" { "1" } else { "2" };
        [
            ("transfer_id", known.or(booked).unwrap_or_else(|| "7781".to_owned())),
            ("user_id", ADA.to_owned()),
            ("trade_id", trade_id.to_owned()),
            ("coin_id", USDT.to_owned()),
            ("amount", "12.5".to_owned()),
            ("cut_amount", "0".to_owned()),
            ("direction", direction.to_owned()),
            ("status", status.to_owned()),
        ]
    }

    /// What became of the calls for an order, first to last.
    pub async fn attempts(&self, trade_id: &str) -> Vec<String> {
        let sql =
            "SELECT a.state FROM attempts a JOIN orders USING (merchant_id, order_id) WHERE trade_id = $1 ORDER BY started_at, attempt_id";
        sqlx::query_scalar(sql).bind(trade_id).fetch_all(&mut self.database().await).await.expect("attempts")
    }

    /// What the callbacks of an order came to, first to last. A repeated callback is kept once.
    pub async fn kept_callbacks(&self, trade_id: &str) -> Vec<String> {
        let sql = "SELECT verdict FROM reports JOIN orders USING (merchant_id, order_id)
                   WHERE trade_id = $1 AND channel = 'callback' ORDER BY received_at, report_id";
        sqlx::query_scalar(sql).bind(trade_id).fetch_all(&mut self.database().await).await.expect("reports")
    }

    /// Where the sides disagree about an order: the kinds, oldest first.
    pub async fn discrepancies(&self, trade_id: &str) -> Vec<String> {
        let list = self.get("/v1/discrepancies?limit=100").await;
        let all = list.body["data"].as_array().expect("a list").iter().rev();
        all.filter(|one| one["trade_id"] == trade_id).map(|one| one["kind"].as_str().expect("a kind").to_owned()).collect()
    }

    /// Receipts that no order is open to.
    pub async fn unmatched_receipts(&self) -> i64 {
        let sql = "SELECT count(*) FROM receipts WHERE order_id IS NULL";
        sqlx::query_scalar(sql).fetch_one(&mut self.database().await).await.expect("receipts")
    }

    /// The timeline's entries of one type.
    pub async fn entries(&self, trade_id: &str, entry_type: &str) -> Vec<Value> {
        let timeline = self.get(&format!("/v1/orders/{trade_id}/timeline")).await;
        assert_eq!(timeline.status, 200, "{:?}", timeline.body);
        let entries = timeline.body["entries"].as_array().expect("entries");
        entries.iter().filter(|entry| entry["type"] == entry_type).cloned().collect()
    }

    /// Every row version of the database with whoever wrote or locked it: it is the same again only
    /// if nothing was committed in between, not even a lock.
    pub async fn footprint(&self) -> String {
        let mut database = self.database().await;
        let tables = "SELECT format('SELECT tableoid, ctid, xmin, xmax FROM %I', relname) FROM pg_class
                      WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname";
        let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut database).await.expect("tables");
        let all = format!("SELECT coalesce(string_agg(v::text, ' ' ORDER BY v::text), '') FROM ({}) v", tables.join(" UNION ALL "));
        sqlx::query_scalar(sqlx::AssertSqlSafe(all)).fetch_one(&mut database).await.expect("a footprint")
    }
}
