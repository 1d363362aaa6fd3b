//! Counting: the statements that a test's gateway sends, and the transactions that wrote something.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use sqlx::PgConnection;
use tracing::Dispatch;
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Counts the statements of this thread by their first words.
#[derive(Clone, Default)]
pub struct Statements(Arc<Mutex<BTreeMap<String, usize>>>);

impl<S: tracing::Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sqlx::query" {
            *self.0.lock().expect("no panic").entry(text_of(event, "summary")).or_default() += 1;
        }
    }
}

/// What an event says in this field.
pub fn text_of(event: &tracing::Event<'_>, field: &'static str) -> String {
    let mut text = Text { field, text: String::new() };
    event.record(&mut text);
    text.text
}

struct Text {
    field: &'static str,
    text: String,
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == self.field {
            value.clone_into(&mut self.text);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == self.field {
            self.text = format!("{value:?}");
        }
    }
}

/// The layer hears of this thread's events, as long as this is kept.
pub fn heard_by<L: Layer<Registry> + Send + Sync>(layer: L) -> (Dispatch, DefaultGuard) {
    // With a single subscriber, what another thread comes by first would be taken for disabled.
    let another = Dispatch::new(tracing_subscriber::registry());
    (another, tracing::subscriber::set_default(tracing_subscriber::registry().with(layer)))
}

impl Statements {
    /// How many statements began so; and they are forgotten.
    pub fn take(&self, beginning: &str) -> usize {
        let mut counts = self.0.lock().expect("no panic");
        let fits: Vec<String> = counts.keys().filter(|summary| summary.starts_with(beginning)).cloned().collect();
        fits.iter().filter_map(|summary| counts.remove(summary)).sum()
    }
}

/// The transactions that wrote rows as they are now, of all tables. What comes in addition afterwards was committed meanwhile: one
/// for each commit that wrote something, as long as nothing of it is overwritten.
pub async fn writers(database: &mut PgConnection) -> BTreeSet<String> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT format('%I', relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY relname",
    )
    .fetch_all(&mut *database)
    .await
    .expect("the tables");
    let all: Vec<String> = tables.iter().map(|table| format!("SELECT xmin::text FROM {table}")).collect();
    let rows = sqlx::query_scalar(sqlx::AssertSqlSafe(all.join(" UNION "))).fetch_all(database).await.expect("rows");
    rows.into_iter().collect()
}
