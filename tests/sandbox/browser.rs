//! A browser in small: it opens pages, reads their forms, presses their buttons, runs no scripts, and stops where it
//! is sent.

use tillgate::sandbox::BrowseError;
use url::Url;

use super::harness::Form;

/// What a user has before him.
#[derive(Debug)]
pub enum Seen {
    Page(Page),
    /// The browser would go here.
    Sent(String),
}

#[derive(Debug)]
pub struct Page {
    pub url: Url,
    pub status: u16,
    pub html: String,
}

impl Seen {
    pub fn page(self) -> Page {
        match self {
            Self::Page(page) => page,
            Self::Sent(location) => panic!("sent to {location}"),
        }
    }

    pub fn sent(self) -> String {
        match self {
            Self::Sent(location) => location,
            Self::Page(page) => panic!("stayed at {}: {}", page.url, page.html),
        }
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("a client")
}

/// The address of a page with these parameters.
pub fn address(page: &str, params: &Form) -> String {
    Url::parse_with_params(page, params).expect("a URL").into()
}

/// The query of an address, in order.
pub fn query(location: &str) -> Vec<(String, String)> {
    Url::parse(location).expect("a URL").query_pairs().into_owned().collect()
}

/// One parameter of an address.
pub fn param(location: &str, name: &str) -> String {
    let found = query(location).into_iter().find(|(one, _)| one == name);
    found.unwrap_or_else(|| panic!("no {name} in {location}")).1
}

pub async fn open(address: &str) -> Seen {
    read(client().get(address).send().await.expect("an answer")).await
}

/// Opens an address; `None` when no whole answer comes.
pub async fn try_to_open(address: &str) -> Option<(u16, Option<String>, String)> {
    let response = client().get(address).send().await.ok()?;
    let (status, location) = (response.status().as_u16(), location(&response));
    Some((status, location, response.text().await.ok()?))
}

/// Chooses, where there is something to choose, and presses a button.
pub async fn press(page: &Page, button: &str, choice: Option<&str>) -> Seen {
    read(submit(page, button, choice).await.expect("an answer")).await
}

pub async fn submit(page: &Page, button: &str, choice: Option<&str>) -> reqwest::Result<reqwest::Response> {
    let form = tags(&page.html, "form").into_iter().next().expect("a form");
    assert_eq!(attribute(&form, "method").as_deref(), Some("post"));
    let action = page.url.join(&attribute(&form, "action").expect("an action")).expect("a URL");
    let mut fields: Vec<(String, String)> = tags(&page.html, "input").iter().map(|tag| (named(tag, "name"), named(tag, "value"))).collect();
    if let Some(choice) = choice {
        let select = tags(&page.html, "select").into_iter().next().expect("a select");
        assert!(choices(page).contains(&choice.to_owned()), "no choice {choice} in {}", page.html);
        fields.push((named(&select, "name"), choice.to_owned()));
    }
    let pressed = tags(&page.html, "button").into_iter().find(|tag| named(tag, "value") == button).expect("the button");
    fields.push((named(&pressed, "name"), button.to_owned()));
    client().post(action).form(&fields).send().await
}

/// What the page lets a user choose.
pub fn choices(page: &Page) -> Vec<String> {
    tags(&page.html, "option").iter().map(|tag| named(tag, "value")).collect()
}

/// The page that the machine's way met.
pub fn stayed(result: Result<String, BrowseError>) -> String {
    match result {
        Err(BrowseError::Stayed(html)) => html,
        other => panic!("{other:?}"),
    }
}

fn location(response: &reqwest::Response) -> Option<String> {
    Some(response.headers().get("location")?.to_str().expect("ASCII").to_owned())
}

async fn read(response: reqwest::Response) -> Seen {
    let (status, url) = (response.status().as_u16(), response.url().clone());
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["referrer-policy"], "no-referrer");
    if status == 302 {
        return Seen::Sent(location(&response).expect("a Location"));
    }
    assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
    let policy = response.headers()["content-security-policy"].to_str().expect("ASCII").to_owned();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(location(&response).is_none());
    let html = response.text().await.expect("a page");
    for active in ["<script", "onclick", "onload", " src=", " href=", "url("] {
        assert!(!html.contains(active), "{active} in {html}");
    }
    Seen::Page(Page { url, status, html })
}

/// The opening tags of this name, without their brackets.
fn tags(html: &str, name: &str) -> Vec<String> {
    let openings = html.split('<').skip(1).filter_map(|rest| rest.split_once('>').map(|(tag, _)| tag));
    openings.filter(|tag| tag.split_whitespace().next() == Some(name)).map(str::to_owned).collect()
}

fn named(tag: &str, attribute_name: &str) -> String {
    attribute(tag, attribute_name).unwrap_or_else(|| panic!("no {attribute_name} in {tag}"))
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    let plain = value.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
    Some(plain.replace("&amp;", "&"))
}
