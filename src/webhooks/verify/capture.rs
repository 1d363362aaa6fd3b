//! Reads a request that somebody has captured.

/// A captured request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capture {
    /// Names and values, in their order.
    pub headers: Vec<(String, String)>,
    /// The body's bytes.
    pub body: Vec<u8>,
}

/// Why a capture cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// A line is no header.
    #[error("line {0} of the headers is not of the form `Name: value`")]
    NoHeader(usize),
    /// There is no empty line between headers and body.
    #[error(
        "there is no empty line between headers and body: give the whole request as it came over the wire, or headers and body in files of their own"
    )]
    NoBody,
}

impl Capture {
    /// Reads a request as it came over the wire: a request line (which may be missing), headers, an empty line, the body. Lines
    /// end with CRLF or LF.
    ///
    /// # Errors
    /// See [`CaptureError`].
    pub fn read(request: &[u8]) -> Result<Self, CaptureError> {
        let mut at = 0;
        loop {
            let end = request[at..].iter().position(|byte| *byte == b'\n').ok_or(CaptureError::NoBody)? + at;
            let line = request[at..end].trim_ascii_end();
            if line.is_empty() && at > 0 {
                let headers = read_headers(&request[..at])?;
                return Ok(Self { headers, body: request[end + 1..].to_vec() });
            }
            at = end + 1;
        }
    }
}

/// Reads `Name: value`, one a line; empty lines, and a request or status line at the beginning, are passed over.
///
/// # Errors
/// Where a line is of another form.
pub fn read_headers(text: &[u8]) -> Result<Vec<(String, String)>, CaptureError> {
    let text = String::from_utf8_lossy(text);
    let mut headers = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || (index == 0 && is_first_line(line)) {
            continue;
        }
        let (name, value) = line.split_once(':').filter(|(name, _)| is_name(name)).ok_or(CaptureError::NoHeader(index + 1))?;
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    Ok(headers)
}

/// `POST /hook HTTP/1.1` or `HTTP/2 200`.
fn is_first_line(line: &str) -> bool {
    line.starts_with("HTTP/") || line.rsplit(' ').next().is_some_and(|last| last.starts_with("HTTP/"))
}

fn is_name(name: &str) -> bool {
    let name = name.trim();
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
