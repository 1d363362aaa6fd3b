//! A log line as one JSON object: `timestamp`, `level`, the event's own fields, `target`, and `span` with the fields of the
//! innermost span and its name.
//!
//! The fields of a span are written as JSON once, when it begins, and stand in each of its lines as they are. (The format that
//! comes with the library reads them back for every line and writes them again, which costs more than all else of a line.)

use std::error::Error;
use std::fmt::{self, Debug, Write};
use std::{io, mem};

use serde::Serialize;
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
        for piece in ["\",\"level\":\"", meta.level().as_str(), "\""] {
            writer.write_str(piece)?;
        }
        let mut members = Members::new(&mut writer, false);
        event.record(&mut members);
        members.member("target", meta.target());
        members.result?;
        let span = event.parent().and_then(|id| context.span(id)).or_else(|| context.lookup_current());
        if let Some(span) = span {
            writer.write_str(",\"span\":{")?;
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<Fields>>().map(|fields| fields.as_str()).unwrap_or_default();
            writer.write_str(fields)?;
            let mut members = Members::new(&mut writer, fields.is_empty());
            members.member("name", span.name());
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

    fn member<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        if self.result.is_ok() {
            let comma = if mem::take(&mut self.first) { "\"" } else { ",\"" };
            self.result = [comma, name, "\":"].into_iter().try_for_each(|piece| self.writer.write_str(piece));
        }
        if self.result.is_ok() {
            self.result = serde_json::to_writer(Text(&mut *self.writer), value).map_err(|_| fmt::Error);
        }
    }
}

impl<W: Write> Visit for Members<'_, W> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.member(name(field), &format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.member(name(field), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(name(field), &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(name(field), &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(name(field), &value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.member(name(field), &format_args!("{value}"));
    }
}

/// Takes what a serializer writes: JSON, of which no piece ends within a character.
struct Text<'a, W>(&'a mut W);

impl<W: Write> io::Write for Text<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let text = str::from_utf8(bytes).map_err(io::Error::other)?;
        self.0.write_str(text).map_err(io::Error::other)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;
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
            let time = line.as_object_mut().unwrap().remove("timestamp").unwrap();
            let time = time.as_str().unwrap();
            // Of one width, so that lines can be put in order as they are.
            assert_eq!(time.len(), "2026-01-01T00:00:00.000000Z".len());
            let time = OffsetDateTime::parse(time, &Rfc3339).unwrap();
            assert!(time.offset().is_utc());
            line
        };
        text.lines().map(without_time).collect()
    }

    #[test]
    fn a_line_has_the_events_fields_and_those_of_its_span() {
        let found = lines(|| {
            let span = tracing::info_span!("request", request_id = %"a\"b", method = "GET", route = tracing::field::Empty);
            span.in_scope(
                || tracing::info!(status = 200_u16, fine = true, change = -1, reason = "line\nbreak", name = ?"é\u{1F980}", "first"),
            );
            span.record("route", "/v1/payouts");
            span.in_scope(|| tracing::warn!(millis = 3_u128, r#type = ?Some("x"), "second"));
            tracing::info_span!("bare").in_scope(|| tracing::error!(error = %fmt::Error, "third"));
            tracing::info!("alone");
        });
        let target = "tillgate::telemetry::json::tests";
        let first = json!({ "level": "INFO", "status": 200, "fine": true, "change": -1, "reason": "line\nbreak",
            "name": "\"é\u{1F980}\"", "message": "first", "target": target, "span": { "request_id": "a\"b", "method": "GET", "name": "request" } });
        let second = json!({ "level": "WARN", "millis": "3", "type": "Some(\"x\")", "message": "second", "target": target,
            "span": { "request_id": "a\"b", "method": "GET", "route": "/v1/payouts", "name": "request" } });
        let third = json!({ "level": "ERROR", "error": fmt::Error.to_string(), "message": "third", "target": target,
            "span": { "name": "bare" } });
        let alone = json!({ "level": "INFO", "message": "alone", "target": target });
        assert_eq!(found, [first, second, third, alone]);
    }
}
