//! Requests of a merchant's backend, and reading what comes back.

use std::time::Duration;

use serde_json::{Value, json};

use crate::house::ADA;

/// An answer of the API.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn text(&self, key: &str) -> &str {
        self.body[key].as_str().unwrap_or_default()
    }
}

/// A client that makes a connection for each request.
pub fn client_without_memory() -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(Duration::from_secs(20));
    client.build().expect("a client")
}

/// Sends one request.
pub async fn call(
    http: &reqwest::Client,
    api: &str,
    key: &str,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<Answer, reqwest::Error> {
    let mut request = http.request(method.parse().expect("a method"), format!("{api}{path}")).bearer_auth(key);
    if let Some(body) = body {
        request = request.json(body);
    }
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Answer { status, headers, body })
}

pub fn payout_wish(trade_id: &str) -> Value {
    let destination = json!({ "type": "fomo_user", "user_id": ADA });
    json!({ "trade_id": trade_id, "provider": "fomo", "coin": "usdt", "amount": "12.5", "destination": destination })
}

pub fn deposit_wish(trade_id: &str) -> Value {
    json!({ "trade_id": trade_id, "provider": "fomo", "coin": "usdt", "amount": "12.5", "customer": "ada" })
}

/// The first log line with this message.
pub fn log_line(log: &str, message: &str) -> Option<Value> {
    log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find(|line| line["message"] == message)
}
