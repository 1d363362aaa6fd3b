//! Youliao, simulated: who may call, what it answers, and the page of persons.

use md5::{Digest, Md5};
use serde_json::{Value, json};
use tillgate::sandbox::{Fault, Options, Sandbox, YouliaoApp};

use crate::harness::{Form, form, with};

/// A form that a platform has signed, as the document's text says: sorted by name, and the secret behind.
fn signed(mut form: Form, secret: &str) -> Form {
    form.remove("sign");
    let content: Vec<String> = form.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let sign = hex::encode(Md5::digest(content.join("&") + secret));
    with(&form, "sign", &sign)
}

fn person() -> Form {
    let told = [("mobile", "13812349882"), ("name", "A+b&c=d 王"), ("identity", "anything at all"), ("amount", "1.23")];
    let mut person = form(told);
    person.insert("appId".to_owned(), "acme-youliao".to_owned());
    person
}

fn good() -> Form {
    signed(person(), "acme-youliao-secret")
}

struct Platform {
    sandbox: Sandbox,
    http: reqwest::Client,
}

impl Platform {
    async fn open() -> Self {
        let other = YouliaoApp { app_id: "other".to_owned(), app_secret: "1234567890".to_owned() };
        let options = Options { youliao_apps: vec![YouliaoApp::default(), other], ..Options::default() };
        let sandbox = Sandbox::start(options).await.expect("the sandbox starts");
        Self { sandbox, http: reqwest::Client::builder().no_proxy().build().expect("a client") }
    }

    async fn try_call(&self, form: &Form) -> reqwest::Result<reqwest::Response> {
        self.http.post(self.sandbox.youliao_base_url()).form(form).send().await
    }

    async fn call(&self, form: &Form) -> Value {
        self.try_call(form).await.expect("an answer").json().await.expect("JSON")
    }

    /// The words of a refusal.
    async fn refused(&self, form: &Form) -> String {
        let answer = self.call(form).await;
        assert_eq!((&answer["code"], answer.get("data")), (&json!(-1), None), "{answer}");
        answer["msg"].as_str().expect("words").to_owned()
    }

    async fn page(&self, token: &str) -> (u16, String) {
        let page = self.http.get(self.sandbox.youliao_redirect_base()).query(&[("token", token)]).send().await.expect("a page");
        (page.status().as_u16(), page.text().await.expect("a page"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_call_gives_a_token_that_opens_the_page() {
    let platform = Platform::open().await;
    let answer = platform.call(&good()).await;
    assert_eq!((&answer["code"], &answer["msg"]), (&json!(1), &json!("操作成功")));
    let token = answer["data"].as_str().expect("a token");
    assert!(token.starts_with("D2C-$2a$10$") && token.len() == "D2C-$2a$10$iWwxYtpyqtpp8KlFMh9tnOSYfwnvvA9cWMl6J0LO5ULHHygwJRWbK".len());
    let (status, page) = platform.page(token).await;
    assert!(status == 200 && page.contains("授权成功"), "{page}");
    let [granted] = platform.sandbox.youliao_authorizations().try_into().expect("one authorisation");
    assert_eq!((granted.name.as_str(), granted.identity.as_str(), granted.opened), ("A+b&c=d 王", "anything at all", true));
    let again = platform.call(&good()).await;
    assert_ne!(again["data"], answer["data"], "each call has a token of its own");
    platform.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_token_is_shown_as_unknown_and_nothing_of_it_is_printed() {
    let platform = Platform::open().await;
    for token in ["", "D2C-x", "<script>alert(1)</script>"] {
        let (status, page) = platform.page(token).await;
        assert!(status == 404 && page.contains("token不正确") && !page.contains("script"), "{page}");
    }
    platform.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_platforms_and_wrong_signatures_are_refused_in_the_documents_words() {
    let platform = Platform::open().await;
    let stranger = with(&person(), "appId", "stranger");
    assert_eq!(platform.refused(&signed(stranger, "acme-youliao-secret")).await, "appId不正确，请仔细检查");
    let sign = good()["sign"].to_uppercase();
    for wrong in [
        signed(person(), "wrong"),
        with(&good(), "amount", "1.24"),
        with(&good(), "extra", "1"),
        with(&good(), "sign", &sign),
        with(&good(), "appId", "other"),
    ] {
        assert_eq!(platform.refused(&wrong).await, "签名不正确，请仔细检查", "{wrong:?}");
    }
    for missing in ["appId", "mobile", "name", "identity", "amount", "sign"] {
        assert!(platform.refused(&with(&good(), missing, "")).await.contains(missing));
    }
    assert!(platform.sandbox.youliao_authorizations().is_empty());
    platform.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_forms_by_post_are_taken() {
    let platform = Platform::open().await;
    let url = platform.sandbox.youliao_base_url();
    assert_eq!(platform.http.get(&url).send().await.expect("an answer").status(), 405);
    assert_eq!(platform.http.post(&url).json(&good()).send().await.expect("an answer").status(), 415);
    platform.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_strike_the_call() {
    let platform = Platform::open().await;
    platform.sandbox.fault("youliao_oauth", Fault::LoseBefore);
    platform.sandbox.fault("youliao_oauth", Fault::LoseAfter);
    assert!(platform.try_call(&good()).await.is_err() && platform.try_call(&good()).await.is_err());
    assert_eq!(platform.sandbox.youliao_authorizations().len(), 1, "one of them was executed");
    platform.sandbox.fault("youliao_oauth", Fault::Code(5));
    assert_eq!(platform.call(&good()).await["code"], json!(5));
    assert_eq!(platform.sandbox.calls("youliao_oauth"), 3);
    assert!(platform.sandbox.call_log().iter().all(|call| !call.params.contains_key("sign")));
    platform.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_driven_over_http_too() {
    let platform = Platform::open().await;
    let settings = format!("{}youliao/settings", platform.sandbox.control_url());
    let set = async |words: &str| platform.http.post(&settings).json(&json!({ "refusal": words })).send().await.expect("an answer");
    assert_eq!(set("余额不足").await.status(), 200);
    assert_eq!(platform.refused(&good()).await, "余额不足");
    set("").await;
    assert_eq!(platform.call(&good()).await["code"], json!(1));
    let listed = platform.http.get(format!("{}youliao/authorizations", platform.sandbox.control_url())).send().await.expect("an answer");
    let listed: Value = listed.json().await.expect("JSON");
    assert_eq!(listed["authorizations"][0]["mobile"], json!("13812349882"));
    platform.sandbox.stop().await;
}
