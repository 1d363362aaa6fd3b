//! What may have become of a body between the sender and the one who verifies it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Finding;

/// What may have been signed, with what then happened to it; first the body as it is.
pub(super) fn forms(body: &[u8]) -> Vec<(Vec<u8>, Option<Finding>)> {
    let mut forms = vec![(body.to_vec(), None)];
    let mut add = |form: Vec<u8>, finding: Finding| forms.push((form, Some(finding)));
    if let Some(shorter) = body.strip_suffix(b"\n") {
        add(shorter.to_vec(), Finding::NewlineAdded);
        add(shorter.strip_suffix(b"\r").unwrap_or(shorter).to_vec(), Finding::NewlineAdded);
        add(body.trim_ascii_end().to_vec(), Finding::NewlineAdded);
    }
    add([body, b"\n"].concat(), Finding::NewlineRemoved);
    add([body, b"\r\n"].concat(), Finding::NewlineRemoved);
    if let Some(rest) = body.strip_prefix(b"\xef\xbb\xbf") {
        add(rest.to_vec(), Finding::ByteOrderMark);
    }
    if let Ok(plain) = STANDARD.decode(body.trim_ascii()) {
        add(plain, Finding::Base64Body);
    }
    if let Ok(text) = std::str::from_utf8(body) {
        let unix = text.replace("\r\n", "\n");
        add(unix.replace('\n', "\r\n").into_bytes(), Finding::LineEnds);
        add(unix.into_bytes(), Finding::LineEnds);
        for form in rewritten(text) {
            add(form.into_bytes(), Finding::Rewritten);
        }
    }
    forms
}

/// The usual ways to write the same JSON.
fn rewritten(text: &str) -> Vec<String> {
    let Ok(value) = serde_json::from_str::<serde_json::Value>(text) else { return Vec::new() };
    let mut forms = Vec::new();
    // By value, names are sorted: for receivers whose parser has changed their order.
    for source in [text.to_owned(), value.to_string()] {
        for (comma, colon) in [(",", ":"), (", ", ": ")] {
            for unescape in [false, true] {
                forms.push(relaid(&source, comma, colon, unescape));
            }
        }
    }
    forms
}

/// JSON with other white space; with `unescape`, each string is written with no more escapes than it needs.
fn relaid(json: &str, comma: &str, colon: &str, unescape: bool) -> String {
    let mut written = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(first) = rest.chars().next() {
        let (token, after) = rest.split_at(if first == '"' { string_length(rest) } else { first.len_utf8() });
        rest = after;
        match first {
            '"' if unescape => written.push_str(&plain(token).unwrap_or_else(|| token.to_owned())),
            ',' => written.push_str(comma),
            ':' => written.push_str(colon),
            ' ' | '\t' | '\r' | '\n' => {}
            _ => written.push_str(token),
        }
    }
    written
}

/// The length in bytes of the string that `text` begins with, quotes included.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn plain(string: &str) -> Option<String> {
    let value: String = serde_json::from_str(string).ok()?;
    serde_json::to_string(&value).ok()
}
