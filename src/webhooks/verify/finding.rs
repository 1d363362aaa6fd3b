//! What can be wrong with a captured request. Each finding is a sentence that says what to do.

use std::fmt;
use std::time::Duration;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// A header is not there.
    #[error("the header {wanted} is missing: capture the request with all its headers, and let every proxy on the way pass it on")]
    HeaderMissing {
        /// Its name.
        wanted: &'static str,
    },
    /// A header is there in another spelling, as web servers and proxies make it (`HTTP_WEBHOOK_ID`, `webhook_id`).
    #[error("the header {wanted} is there as {found}: a web server or a proxy writes it so; hand it on as {wanted}")]
    HeaderRenamed {
        /// The name that it should have.
        wanted: &'static str,
        /// The name that it has.
        found: String,
    },
    /// A header is there under the name that another sender gives it.
    #[error(
        "there is {found} in place of {wanted}: Tillgate sends {wanted}, so that this request comes from elsewhere, or something on the way renames headers"
    )]
    HeaderOfOthers {
        /// The name that it should have.
        wanted: &'static str,
        /// The name that it has.
        found: String,
    },
    /// A header is there more than once, with different values.
    #[error("the header {wanted} is there more than once: something on the way adds headers; verify the request as it was sent")]
    HeaderRepeated {
        /// Its name.
        wanted: &'static str,
    },
    /// The timestamp is not a number.
    #[error("webhook-timestamp is {found:?}, which is no number of seconds since 1970: pass the header on as it came")]
    TimestampNotANumber {
        /// What it is.
        found: String,
    },
    /// The timestamp has three digits too many.
    #[error("webhook-timestamp is in milliseconds: it must be in seconds, as Tillgate sends it")]
    TimestampInMilliseconds,
    /// The request was sent long ago.
    #[error(
        "the request was sent {by} ago, and {tolerance} are allowed: set the receiver's clock (NTP) if it came just now; if it is an old capture, give the time that it came (--at); else somebody repeats an old request"
    )]
    TooOld {
        /// How long ago.
        by: Seconds,
        /// How long ago it may be.
        tolerance: Seconds,
    },
    /// The request will be sent.
    #[error("the request is dated {by} in the future, and {tolerance} are allowed: set this machine's clock (NTP), or the sender's")]
    InTheFuture {
        /// How far.
        by: Seconds,
        /// How far it may be.
        tolerance: Seconds,
    },
    /// A part of the signature's header cannot be read.
    #[error(
        "webhook-signature has {part:?} where v1,<44 characters of base64> is expected: pass the header on as it came; more than one signature is separated by spaces"
    )]
    SignatureMalformed {
        /// Which part.
        part: String,
    },
    /// The signature is in hexadecimal.
    #[error("the signature is in hexadecimal: it must be in base64 (encode the 32 bytes of the HMAC, not their hexadecimal text)")]
    SignatureInHex,
    /// A signature's version is not 1.
    #[error("webhook-signature has the version {version}, and Tillgate signs with v1: look for the part that begins with v1,")]
    UnknownVersion {
        /// Which version.
        version: String,
    },
    /// There is no secret to verify with.
    #[error("no secret was given: give the endpoint's secret, which was shown when it was made or when its secret was last rotated")]
    NoSecret,
    /// The body is empty.
    #[error("the body is empty: capture it before anything else reads it; many frameworks let it be read once only")]
    EmptyBody,
    /// The body's length is not what its header says.
    #[error(
        "content-length is {said}, and the captured body has {is} bytes: something was cut off, added or converted; verify the raw body"
    )]
    OtherLength {
        /// By the header.
        said: String,
        /// Of the capture, in bytes.
        is: usize,
    },
    /// The body has a newline at its end that was not signed.
    #[error(
        "the signature fits without the newline at the body's end: an editor, echo or a log added it; verify the raw body (printf %s, not echo)"
    )]
    NewlineAdded,
    /// The body has lost a newline at its end.
    #[error("the signature fits with a newline at the body's end: something trimmed the body; verify the raw body")]
    NewlineRemoved,
    /// Line ends were converted.
    #[error("the signature fits with other line ends (LF, CRLF): something converted them; read and verify the body as bytes, not as text")]
    LineEnds,
    /// There is a byte order mark that was not signed.
    #[error("the signature fits without the byte order mark at the body's beginning: an editor added it; verify the raw body")]
    ByteOrderMark,
    /// The body is base64 of what was signed.
    #[error(
        "the signature fits once the body is decoded from base64: the platform hands bodies over encoded (isBase64Encoded at AWS); decode it, then verify"
    )]
    Base64Body,
    /// The same JSON was signed in other bytes.
    #[error("the JSON is the same but the bytes differ: the body was parsed and written anew; verify the raw body, before any JSON parser")]
    Rewritten,
    /// The key is the secret's text, `whsec_` and all.
    #[error("this was signed with the secret's text as the key: remove whsec_, decode the rest from base64, and use those bytes")]
    KeyIsText,
    /// The key is the secret's base64 text.
    #[error("this was signed with the text behind whsec_ as the key: decode it from base64, and use those bytes")]
    KeyIsBase64,
    /// Id and timestamp stand in each other's place.
    #[error("webhook-id and webhook-timestamp are swapped: the signed text is id.timestamp.body, in this order")]
    Swapped,
    /// Nothing that was tried fits.
    #[error(
        "none of the secrets made this signature over this id, timestamp and body: either the secret is another endpoint's or was rotated (compare it with the one that was shown), or the body is not byte for byte what was sent (verify the raw body)"
    )]
    NothingFits,
}

/// A number of seconds, displayed as `2h 3m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub u64);

impl fmt::Display for Seconds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", humantime::format_duration(Duration::from_secs(self.0)))
    }
}
