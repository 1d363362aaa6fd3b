//! Authorisations at Youliao: asked once, shown masked, and the person nowhere in the clear.

use std::collections::BTreeMap;

use md5::{Digest, Md5};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tillgate::domain::audit::By;
use tillgate::domain::order::Provider;
use tillgate::flows::setup;
use tillgate::flows::tenant::Scope;
use tillgate::sandbox::{Fault, Sandbox, Times, YouliaoApp};

use crate::harness::{Answer, TestApp, deposit_wish, make_key, merchant};
use crate::links::{heard, listen, seen, stored};

const PATH: &str = "/v1/youliao/authorizations";
const MOBILE: &str = "13812349882";
const NAME: &str = "王小明";
const IDENTITY: &str = "11010519491231002X";

fn wish() -> Value {
    json!({ "mobile": MOBILE, "name": NAME, "identity": IDENTITY, "amount": "1.5" })
}

/// What somebody asks for, with one field otherwise.
fn with(field: &str, value: impl Into<Value>) -> Value {
    let mut wish = wish();
    wish[field] = value.into();
    wish
}

/// Gives a merchant an account at Youliao with these settings.
async fn open_account(app: &TestApp, name: &str, account: &Value) {
    let mut document = merchant(name, &app.sandbox, &json!({}));
    document.accounts.insert(Provider::Youliao, account.as_object().expect("an object").clone());
    setup::apply(&app.context, &By::operator("test"), &document).await.expect("an account at Youliao");
}

fn account(sandbox: &Sandbox) -> Value {
    let own = YouliaoApp::default();
    let (base_url, redirect_base) = (sandbox.youliao_base_url(), sandbox.youliao_redirect_base());
    json!({ "base_url": base_url, "redirect_base": redirect_base, "app_id": own.app_id, "app_secret": own.app_secret })
}

async fn start() -> TestApp {
    let app = TestApp::start().await;
    open_account(&app, "acme", &account(&app.sandbox)).await;
    app
}

/// What the list shows, newest first: status, mobile, identity, name and amount of each.
async fn shown(app: &TestApp) -> Vec<[String; 5]> {
    let list = app.get(PATH).await;
    assert_eq!(list.status, 200, "{}", list.body);
    let of = |row: &Value| ["status", "mobile", "identity", "name", "amount"].map(|key| row[key].as_str().unwrap_or_default().to_owned());
    list.body["data"].as_array().expect("a list").iter().map(of).collect()
}

/// How all authorisations ended, newest first.
async fn statuses(app: &TestApp) -> Vec<String> {
    shown(app).await.into_iter().map(|[status, ..]| status).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_sent_to_youliao_with_a_token_and_is_authorised_there() {
    let app = start().await;
    let granted = app.post(PATH, &wish()).await;
    assert_eq!((granted.status, granted.header("cache-control")), (201, "no-store"), "{}", granted.body);
    let shown = ["object", "status", "mobile", "identity", "name", "amount", "created_at"].map(|key| granted.text(key));
    assert_eq!(shown, ["authorization", "granted", "****9882", "****002X", "王**", "1.5", "2027-01-15T08:00:00Z"]);
    assert!(granted.text("id").starts_with("aut_"));
    let [told] = app.sandbox.youliao_authorizations().try_into().expect("one authorisation");
    assert_eq!([&*told.app_id, &told.mobile, &told.name, &told.identity, &told.amount], ["acme-youliao", MOBILE, NAME, IDENTITY, "1.50"]);
    let encoded: String = url::form_urlencoded::byte_serialize(told.token.as_bytes()).collect();
    assert_eq!(granted.text("redirect_url"), format!("{}?token={encoded}", app.sandbox.youliao_redirect_base()));
    assert!(!told.opened);
    let page = app.http.get(granted.text("redirect_url")).send().await.expect("a page");
    assert_eq!(page.status(), 200);
    assert!(page.text().await.expect("a page").contains("授权成功"));
    assert!(app.sandbox.youliao_authorizations()[0].opened);
    assert_eq!(app.sandbox.calls("youliao_oauth"), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_name_youliao_hears_it_as_it_is_and_the_number_in_one_form() {
    let app = start().await;
    let names = ["A+b&c=d", "100% é #?/", "阿卜杜拉·买买提", "𠮷野 太郎", "\"x\"; sign=1", "&appId=other", "名😀", "+", "=&", "%2B"];
    for name in names {
        assert_eq!(app.post(PATH, &with("name", name)).await.status, 201, "{name}");
    }
    let heard: Vec<String> = app.sandbox.youliao_authorizations().into_iter().map(|one| one.name).collect();
    assert_eq!(heard, names);
    assert_eq!(app.post(PATH, &with("identity", "11010519491231002x")).await.text("identity"), "****002X");
    assert!(app.sandbox.youliao_authorizations().iter().all(|one| one.identity == IDENTITY), "a small x is sent as a large one");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signature_is_what_anybody_else_computes() {
    // A server that only writes down what it hears, and a signature put together here.
    let app = start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base_url = format!("http://{}/oauth", listener.local_addr().expect("an address"));
    let account = json!({ "base_url": base_url, "redirect_base": "http://a/", "app_id": "id+1", "app_secret": "s&=é" });
    open_account(&app, "acme", &account).await;
    let asked = with("name", "A+b&c=d 王");
    let (answer, form) = tokio::join!(app.post(PATH, &asked), hear_one(listener));
    answer.expect_problem(503, "provider_unavailable");
    let text = format!("amount=1.50&appId=id+1&identity={IDENTITY}&mobile={MOBILE}&name=A+b&c=d 王s&=é");
    assert_eq!(form["sign"], hex::encode(Md5::digest(text)));
    assert_eq!(form.len(), 6);
    app.finish().await;
}

/// The form of the one request that comes, which gets no answer.
async fn hear_one(listener: tokio::net::TcpListener) -> BTreeMap<String, String> {
    use tokio::io::AsyncReadExt;
    let (mut stream, _) = listener.accept().await.expect("a connection");
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut buffer).await.expect("a request");
        request.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((_, body)) = text.split_once("\r\n\r\n")
            && body.contains("sign=")
            && read < buffer.len()
        {
            return url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_field_is_named_and_nobody_is_asked() {
    let app = start().await;
    for (field, wrong) in [
        (
            "mobile",
            vec![
                json!("12812349882"),
                json!("1381234988"),
                json!("+8613812349882"),
                json!("１３８１２３４９８８２"),
                json!(13812349882_u64),
            ],
        ),
        ("name", vec![json!(""), json!(" 王"), json!("王\n"), json!("x".repeat(65)), Value::Null, json!({ "first": NAME })]),
        (
            "identity",
            vec![json!("110105194912310021"), json!("11010519491331002X"), json!("11010520270115001X"), json!("1101051949"), json!(1)],
        ),
        ("amount", vec![json!("0"), json!("-1"), json!("1.234"), json!("1e3"), json!("10000000000"), json!(""), json!(1.5)]),
    ] {
        for value in wrong {
            let refused = app.post(PATH, &with(field, value.clone())).await;
            assert_eq!((refused.no_problem(422, "validation_failed"), refused.pointers()), (None, vec![&*format!("/{field}")]), "{value}");
            let said = refused.body.to_string();
            let echo = value.as_str().map_or(value.to_string(), str::to_owned);
            // An amount is nobody's secret, and may be its own limit.
            assert!(field == "amount" || echo.chars().count() < 5 || !said.contains(&echo), "{said}");
        }
    }
    let all = app.post(PATH, &json!({ "mobile": "1", "name": "", "identity": "x", "amount": "0" })).await;
    assert_eq!(all.pointers(), ["/mobile", "/name", "/identity", "/amount"]);
    let none = app.post(PATH, &json!({ "surprise": 1 })).await;
    assert_eq!(none.pointers(), ["/surprise", "/mobile", "/name", "/identity", "/amount"]);
    for query in ["limit=0", "starting_after=rcp_1", "surprise=1"] {
        app.get(&format!("{PATH}?{query}")).await.expect_problem(422, "validation_failed");
    }
    assert_eq!((app.sandbox.calls("youliao_oauth"), statuses(&app).await.len()), (0, 0));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_in_youliaos_words_unless_they_repeat_the_person() {
    let app = start().await;
    for (words, told) in [
        ("余额不足".to_owned(), "余额不足"),
        (format!("手机号{MOBILE}不存在"), "it gave no reason that can be passed on"),
        (format!("{NAME}: no"), "it gave no reason that can be passed on"),
        ("110105-19491231-002x?".to_owned(), "it gave no reason that can be passed on"),
    ] {
        app.sandbox.set_youliao_refusal(Some(&words));
        let refused = app.post(PATH, &wish()).await;
        refused.expect_problem(422, "youliao_refused");
        assert_eq!(refused.text("detail"), format!("youliao refused it: {told}"));
    }
    app.sandbox.set_youliao_refusal(None);
    assert_eq!(app.post(PATH, &wish()).await.status, 201);
    assert_eq!(statuses(&app).await, ["granted", "refused", "refused", "refused", "refused"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn youliao_refuses_another_app_and_another_secret() {
    let app = start().await;
    for (key, words) in [("app_id", "appId不正确，请仔细检查"), ("app_secret", "签名不正确，请仔细检查")] {
        let mut wrong = account(&app.sandbox);
        wrong[key] = json!("wrong");
        open_account(&app, "acme", &wrong).await;
        let refused = app.post(PATH, &wish()).await;
        refused.expect_problem(422, "youliao_refused");
        assert!(refused.text("detail").ends_with(words), "{}", refused.body);
    }
    assert_eq!((statuses(&app).await, app.sandbox.youliao_authorizations().len()), (vec!["refused".to_owned(); 2], 0));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_or_unreadable_is_unknown_and_was_asked_once() {
    let app = start().await;
    let faults = [
        Fault::LoseBefore,
        Fault::LoseAfter,
        Fault::Error500Before,
        Fault::Error500After,
        Fault::GarbageAfter,
        Fault::TruncatedAfter,
        Fault::EmptyAfter,
        Fault::Code(0),
        Fault::Code(1),
        Fault::HangAfter,
    ];
    for (index, fault) in faults.iter().enumerate() {
        app.sandbox.fault("youliao_oauth", fault.clone());
        let unknown = app.post(PATH, &wish()).await;
        assert_eq!(unknown.no_problem(503, "provider_unavailable"), None, "{fault:?}");
        assert_eq!((app.sandbox.calls("youliao_oauth"), unknown.header("retry-after")), (index + 1, "1"), "{fault:?}");
    }
    app.sandbox.release();
    let mut gone = account(&app.sandbox);
    gone["base_url"] = json!("http://127.0.0.1:1/oauth");
    open_account(&app, "acme", &gone).await;
    app.post(PATH, &wish()).await.expect_problem(503, "provider_unavailable");
    assert_eq!(statuses(&app).await, vec!["unknown"; faults.len() + 1]);
    assert_eq!(app.count("youliao_authorizations WHERE answered_at IS NULL").await, 11);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_shows_all_that_was_asked_newest_first_and_masked() {
    let app = start().await;
    assert_eq!(app.post(PATH, &wish()).await.status, 201);
    app.sandbox.set_youliao_refusal(Some("no"));
    let other = json!({ "mobile": "19900001234", "name": "李", "identity": "34052419800101001X", "amount": "30000" });
    app.post(PATH, &other).await.expect_problem(422, "youliao_refused");
    app.sandbox.inject("youliao_oauth", None, Fault::LoseAfter, Times::Count(1));
    app.post(PATH, &with("name", "Ada L")).await.expect_problem(503, "provider_unavailable");
    let expected = [
        ["unknown", "****9882", "****002X", "A****", "1.5"],
        ["refused", "****1234", "****001X", "*", "30000"],
        ["granted", "****9882", "****002X", "王**", "1.5"],
    ];
    assert_eq!(shown(&app).await, expected);
    let first = app.get(&format!("{PATH}?limit=2")).await;
    assert_eq!((first.body["data"].as_array().map(Vec::len), &first.body["has_more"]), (Some(2), &json!(true)));
    let rest = app.get(&format!("{PATH}?limit=2&starting_after={}", first.text("next_cursor"))).await;
    assert_eq!((rest.body["data"][0]["status"].as_str(), &rest.body["has_more"]), (Some("granted"), &json!(false)));
    assert!(first.body["data"].as_array().into_iter().flatten().all(|row| row.get("redirect_url").is_none()));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_merchant_sees_nothing_and_asks_with_an_account_of_its_own() {
    let app = start().await;
    let granted = app.post(PATH, &wish()).await;
    let rival = app.other_merchant(&[Scope::Admin]).await;
    for path in [PATH.to_owned(), format!("{PATH}?starting_after={}", granted.text("id"))] {
        let list = app.call_as(rival.expose_secret(), "GET", &path, None).await;
        assert_eq!((list.status, &list.body["data"]), (200, &json!([])));
    }
    let refused = app.call_as(rival.expose_secret(), "POST", PATH, Some(&wish())).await;
    refused.expect_problem(422, "provider_not_configured");
    assert_eq!(refused.text("detail"), "there is no account at youliao; the operator adds it");
    open_account(&app, "rival", &account(&app.sandbox)).await;
    assert_eq!(app.call_as(rival.expose_secret(), "POST", PATH, Some(&wish())).await.status, 201);
    // The same person at two merchants has two hashes.
    assert_eq!(app.count("(SELECT DISTINCT mobile_tag, identity_tag FROM youliao_authorizations) t").await, 2);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_account_is_not_used_and_still_shows_its_list() {
    let app = start().await;
    assert_eq!(app.post(PATH, &wish()).await.status, 201);
    setup::apply(&app.context, &By::operator("test"), &merchant("acme", &app.sandbox, &json!({}))).await.expect("a merchant");
    app.post(PATH, &wish()).await.expect_problem(422, "provider_disabled");
    assert_eq!((statuses(&app).await.len(), app.sandbox.calls("youliao_oauth")), (1, 1));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn youliao_is_no_wallet_of_orders() {
    let app = start().await;
    let mut wish = deposit_wish("d-1");
    wish["provider"] = json!("youliao");
    assert_eq!(app.post("/v1/deposits", &wish).await.pointers(), ["/provider"]);
    app.get("/v1/coins?provider=youliao").await.expect_problem(422, "provider_not_configured");
    app.post("/v1/customers", &json!({ "customer": "ada" })).await.expect_problem(422, "provider_not_configured");
    assert_eq!((app.count("orders").await, app.sandbox.calls("youliao_oauth")), (0, 0));
    app.finish().await;
}

/// Answers of every kind about one person: granted, refused with an echo, lost, unreadable, wrong, listed.
async fn tour(app: &TestApp, person: &Value) -> Vec<Answer> {
    let mut answers = vec![app.get(PATH).await];
    for echo in ["mobile", "name", "identity"] {
        app.sandbox.set_youliao_refusal(Some(&format!("no: {}", person[echo].as_str().unwrap_or_default())));
        answers.push(app.post(PATH, person).await);
    }
    app.sandbox.set_youliao_refusal(None);
    for fault in [Fault::LoseAfter, Fault::GarbageAfter, Fault::TruncatedAfter, Fault::Code(7)] {
        app.sandbox.fault("youliao_oauth", fault);
        answers.push(app.post(PATH, person).await);
    }
    for field in ["mobile", "name", "identity", "amount"] {
        let mut wrong = person.clone();
        wrong[field] = json!(format!("{}\0", person[field].as_str().unwrap_or_default()));
        answers.push(app.post(PATH, &wrong).await);
    }
    answers.push(app.send("POST", PATH, format!("{person}{person}")).await);
    let reader = make_key(&app.context, "acme", &[Scope::OrdersRead]).await;
    answers.push(app.call_as(reader.expose_secret(), "POST", PATH, Some(person)).await);
    answers.extend([app.get(PATH).await, app.get("/openapi.json").await]);
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn the_person_and_the_token_are_nowhere_but_in_the_one_answer() {
    listen();
    let app = start().await;
    // Nobody else of this process is called so.
    let person = json!({ "mobile": "19987650123", "name": "欧阳测试甲", "identity": "440306200002290033", "amount": "77.77" });
    let granted = app.post(PATH, &person).await;
    assert_eq!(granted.status, 201, "{}", granted.body);
    let answers = tour(&app, &person).await;
    let token = |one: &tillgate::sandbox::YouliaoAuthorization| ("token", one.token.clone());
    let tokens: Vec<_> = app.sandbox.youliao_authorizations().iter().map(token).collect();
    assert!(tokens.len() > 3, "answers with tokens were lost");
    let own = [("mobile", "19987650123"), ("name", "欧阳测试甲"), ("identity", "440306200002290033"), ("secret", "acme-youliao-secret")];
    let encoded = tokens.iter().map(|(_, token)| ("token", url::form_urlencoded::byte_serialize(token.as_bytes()).collect()));
    let all: Vec<_> = own.map(|(name, value)| (name, value.to_owned())).into_iter().chain(tokens.clone()).chain(encoded).collect();
    let heard = heard();
    assert!(seen(&all, granted.text("redirect_url").as_bytes()) == ["token"], "the one place");
    let mut rest = granted.body.clone();
    rest["redirect_url"] = Value::Null;
    let told = answers.iter().map(|answer| format!("{:?} {}", answer.headers, answer.body));
    for told in told.chain([format!("{:?} {rest}", granted.headers)]) {
        assert!(seen(&all, told.as_bytes()).is_empty(), "{:?} in {told}", seen(&all, told.as_bytes()));
    }
    let stored = stored(&app).await;
    assert!(stored.iter().any(|(name, value)| name == "youliao_authorizations.name_masked" && value == "欧****".as_bytes()));
    for (name, value) in &stored {
        assert!(seen(&all, value).is_empty(), "{:?} in {name}", seen(&all, value));
    }
    let lines: Vec<&[u8]> = heard.split(|byte| *byte == b'\n').collect();
    assert!(lines.iter().any(|line| String::from_utf8_lossy(line).contains("youliao oauth")), "the calls were logged");
    for line in lines {
        assert!(seen(&all, line).is_empty(), "{:?} in {}", seen(&all, line), String::from_utf8_lossy(line));
    }
    app.finish().await;
}
