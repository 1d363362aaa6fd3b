//! Pages and redirects: what a provider shows a browser and where it sends it. Whatever a page shows of a request is
//! escaped, and a page loads nothing and runs nothing.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, ContentType};
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde_json::Value;
use url::Url;

use super::answer::respond_with;
use super::control::unknown;
use super::faults::{Answer, Fault};

/// Why a browser was not sent on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrowseError {
    /// The URL is none, or not that of the page.
    #[error("not the URL of this page")]
    OtherPage,
    /// There was a page instead of a redirect, for the most part one that says what is wrong. Its HTML.
    #[error("a page instead of a redirect: {0}")]
    Stayed(String),
    /// A fault swallowed the answer.
    #[error("no answer")]
    NoAnswer,
}

impl From<BrowseError> for actix_web::Error {
    fn from(problem: BrowseError) -> Self {
        unknown(&problem.to_string())
    }
}

/// A provider's reply where browsers come, or servers in their place.
pub(super) enum Reply {
    Page(Page),
    Redirect(Redirect),
    Json(Value),
}

/// A whole page.
pub(super) struct Page {
    status: StatusCode,
    html: String,
}

impl Page {
    /// A page of this title; `body` is HTML.
    pub(super) fn new(title: &str, body: &str) -> Self {
        let html = format!(include_str!("frame.html"), title = escape(title), body = body);
        Self { status: StatusCode::OK, html }
    }

    /// HTTP 400 and what is wrong: the documents leave open what a browser sees that cannot be sent back.
    pub(super) fn error(title: &str, code: i64, message: &str, about: Option<&str>) -> Self {
        let about = about.map(|name| format!(": {name}")).unwrap_or_default();
        let body = format!("<p>Error {code}: {}{}</p>", escape(message), escape(&about));
        Self { status: StatusCode::BAD_REQUEST, ..Self::new(title, &body) }
    }
}

/// Where a browser is sent.
pub(super) struct Redirect {
    back: Url,
    outcome: Vec<(&'static str, String)>,
}

impl Redirect {
    /// To a merchant's redirect_uri, with the outcome behind what its query has already.
    pub(super) fn to(back: Url, outcome: Vec<(&'static str, String)>) -> Self {
        Self { back, outcome }
    }

    fn location(&self) -> String {
        let mut url = self.back.clone();
        if !self.outcome.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.outcome);
        }
        url.into()
    }

    /// Another amount than was asked for; another state where there is no amount.
    fn with_wrong_echo(mut self) -> Self {
        let wrong = if self.outcome.iter().any(|(name, _)| *name == "amount") { "amount" } else { "state" };
        for (_, value) in self.outcome.iter_mut().filter(|(name, _)| *name == wrong) {
            value.insert(0, '1');
        }
        self
    }
}

impl Reply {
    /// How a redirect looks under a fault; everything else stays as it is.
    pub(super) fn under(self, fault: Option<&Fault>) -> Self {
        match (self, fault) {
            (Self::Redirect(_), Some(Fault::NoRedirect)) => Self::Page(Page::new("Thank you", "<p>You may close this page.</p>")),
            (Self::Redirect(to), Some(Fault::BareRedirect)) => Self::Redirect(Redirect::to(to.back, Vec::new())),
            (Self::Redirect(to), Some(Fault::WrongEcho)) => Self::Redirect(to.with_wrong_echo()),
            (reply, _) => reply,
        }
    }

    fn whole(self) -> (HttpResponseBuilder, String) {
        match self {
            Self::Page(page) => {
                let mut head = HttpResponse::build(page.status);
                head.content_type(ContentType::html())
                    .insert_header((
                        header::CONTENT_SECURITY_POLICY,
                        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
                    ))
                    .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
                (private(head), page.html)
            }
            Self::Redirect(to) => {
                let mut head = HttpResponse::Found();
                head.content_type(ContentType::plaintext()).insert_header((header::LOCATION, to.location()));
                (private(head), "The browser is sent back.\n".to_owned())
            }
            Self::Json(body) => {
                let mut head = HttpResponse::Ok();
                head.content_type(ContentType::json());
                (head, body.to_string())
            }
        }
    }
}

/// The addresses of pages and redirects carry codes and tokens: nobody keeps them, and they are told to nobody.
fn private(mut head: HttpResponseBuilder) -> HttpResponseBuilder {
    head.insert_header((header::CACHE_CONTROL, "no-store")).insert_header((header::REFERRER_POLICY, "no-referrer"));
    head
}

/// Puts a reply on the wire, whole or broken.
pub(super) fn respond(answer: Answer<Reply>) -> HttpResponse {
    respond_with(answer, Reply::whole)
}

/// Where the browser that gets this answer goes.
pub(super) fn location(answer: Answer<Reply>) -> Result<String, BrowseError> {
    match answer {
        // A browser follows the head of a redirect, whatever becomes of the body.
        Answer::Body(Reply::Redirect(to)) | Answer::Truncated(Reply::Redirect(to)) => Ok(to.location()),
        Answer::Body(Reply::Page(page)) => Err(BrowseError::Stayed(page.html)),
        Answer::Body(Reply::Json(body)) => Err(BrowseError::Stayed(body.to_string())),
        Answer::Truncated(_) | Answer::Garbage | Answer::Empty | Answer::Error500 | Answer::Cut => Err(BrowseError::NoAnswer),
    }
}

/// The query of a page's URL; the host is whatever name the sandbox is called by.
pub(super) fn query(url: &str, path: &str) -> Result<String, BrowseError> {
    let url = Url::parse(url).map_err(|_| BrowseError::OtherPage)?;
    if url.path() == path { Ok(url.query().unwrap_or_default().to_owned()) } else { Err(BrowseError::OtherPage) }
}

/// Text as it may stand in HTML, within an attribute's quotes, too.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(letter),
        }
    }
    escaped
}

/// Fields that a form sends along unseen.
pub(super) fn hidden<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    fields.map(|(name, value)| format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">\n", escape(name), escape(value))).collect()
}

/// The choices of a `select`: what is sent, and what is read.
pub(super) fn options(choices: impl Iterator<Item = (String, String)>) -> String {
    choices.map(|(value, label)| format!("<option value=\"{}\">{}</option>\n", escape(&value), escape(&label))).collect()
}
