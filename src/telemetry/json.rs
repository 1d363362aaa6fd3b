//! A log line as one JSON object: `timestamp`, `level`, the event's own fields, `target`, and `span` with the fields of the
//! innermost span and its name.
//!
//! The fields of a span are written as JSON once, when it begins, and stand in each of its lines as they are. (The format that
//! comes with the library reads them back for every line and writes them again, which costs more than all else of a line.)

use std::error::Error;
use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes fields as the inside of an object.
#[derive(Debug)]
pub(super) struct Fields;

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut members = Members::new(&mut writer, true);
        fields.record(&mut members);
        members.result
    }

    fn add_fields(&self, current: &'w mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        let first = current.fields.is_empty();
        let mut members = Members::new(&mut current.fields, first);
        fields.record(&mut members);
        members.result
    }
}

/// Writes events.
#[derive(Debug)]
pub(super) struct Line;

impl<S> FormatEvent<S, Fields> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(&self, context: &FmtContext<'_, S, Fields>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        // What comes by the `log` crate names its target in a field.
        let normalized = event.normalized_metadata();
        let meta = normalized.as_ref().unwrap_or_else(|| event.metadata());
        writer.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut writer)?;
        write!(writer, "\",\"level\":\"{}\"", meta.level())?;
        let mut members = Members::new(&mut writer, false);
        event.record(&mut members);
        members.text("target", meta.target());
        members.result?;
        let span = event.parent().and_then(|id| context.span(id)).or_else(|| context.lookup_current());
        if let Some(span) = span {
            writer.write_str(",\"span\":{")?;
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<Fields>>().map(|fields| fields.as_str()).unwrap_or_default();
            writer.write_str(fields)?;
            let mut members = Members::new(&mut writer, fields.is_empty());
            members.text("name", span.name());
            members.result?;
            writer.write_str("}")?;
        }
        writer.write_str("}\n")
    }
}

/// Members of an object, one after the other.
struct Members<'a, W> {
    writer: &'a mut W,
    first: bool,
    result: fmt::Result,
}

impl<'a, W: Write> Members<'a, W> {
    fn new(writer: &'a mut W, first: bool) -> Self {
        Self { writer, first, result: Ok(()) }
    }

    /// A member whose value is JSON already.
    fn member(&mut self, name: &str, value: fmt::Arguments<'_>) {
        if self.result.is_ok() {
            let comma = if std::mem::take(&mut self.first) { "" } else { "," };
            self.result = write!(self.writer, "{comma}\"{name}\":{value}");
        }
    }

    fn text(&mut self, name: &str, value: &str) {
        match serde_json::to_string(value) {
            Ok(value) => self.member(name, format_args!("{value}")),
            Err(_) => self.result = Err(fmt::Error),
        }
    }
}

impl<W: Write> Visit for Members<'_, W> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(name(field), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(name(field), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(name(field), format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(name(field), format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(name(field), format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.text(name(field), &value.to_string());
    }
}

/// Fields that are named as words of Rust are.
fn name(field: &Field) -> &str {
    field.name().strip_prefix("r#").unwrap_or(field.name())
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Kept {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    /// The lines that `work` logs, read, without their times.
    fn lines(work: impl FnOnce()) -> Vec<Value> {
        let kept = Kept::default();
        let subscriber = tracing_subscriber::fmt().with_writer(kept.clone()).fmt_fields(Fields).event_format(Line).finish();
        tracing::subscriber::with_default(subscriber, work);
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let without_time = |line: &str| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            assert!(line.as_object_mut().unwrap().remove("timestamp").unwrap().as_str().unwrap().ends_with('Z'));
            line
        };
        text.lines().map(without_time).collect()
    }

    #[test]
    fn a_line_has_the_events_fields_and_those_of_its_span() {
        let found = lines(|| {
            let span = tracing::info_span!("request", request_id = %"a\"b", method = "GET", route = tracing::field::Empty);
            span.in_scope(|| tracing::info!(status = 200_u16, fine = true, change = -1, reason = "line\nbreak", "first"));
            span.record("route", "/v1/payouts");
            span.in_scope(|| tracing::warn!(millis = 3_u128, r#type = ?Some("x"), "second"));
            tracing::info_span!("bare").in_scope(|| tracing::error!(error = %fmt::Error, "third"));
            tracing::info!("alone");
        });
        let target = "tillgate::telemetry::json::tests";
        let first = json!({ "level": "INFO", "status": 200, "fine": true, "change": -1, "reason": "line\nbreak", "message": "first",
            "target": target, "span": { "request_id": "a\"b", "method": "GET", "name": "request" } });
        let second = json!({ "level": "WARN", "millis": "3", "type": "Some(\"x\")", "message": "second", "target": target,
            "span": { "request_id": "a\"b", "method": "GET", "route": "/v1/payouts", "name": "request" } });
        let third = json!({ "level": "ERROR", "error": fmt::Error.to_string(), "message": "third", "target": target,
            "span": { "name": "bare" } });
        let alone = json!({ "level": "INFO", "message": "alone", "target": target });
        assert_eq!(found, [first, second, third, alone]);
    }
}
