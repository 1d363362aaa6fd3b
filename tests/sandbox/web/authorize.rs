//! Agreeing in a browser.

use super::harness::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_user_agrees_on_a_page_and_the_code_gives_tokens() {
    let mut shop = Shop::open().await;
    shop.sandbox.create_user("u2", "Bob & Co", &[]);
    let page = open(&authorize_url(&shop, &to_agree())).await.page();
    assert_eq!(page.status, 200);
    assert_eq!(choices(&page), ["u1", "u2"]);
    for shown in ["<strong>acme</strong>", "<strong>userinfo paytoken</strong>", "Ann (u1)", "Bob &amp; Co (u2)"] {
        assert!(page.html.contains(shown), "{shown} in {}", page.html);
    }

    let location = press(&page, "approve", Some("u2")).await.sent();
    let code = param(&location, "code");
    assert_eq!(location, format!("{BACK}?code={code}&state=s+%261"));
    let tokens = shop.call(TOKEN, &exchange(&code)).await;
    assert_eq!(text(&tokens, "/scope"), "userinfo paytoken");
    shop.access = text(&tokens, "/access_token");
    assert_eq!(text(&shop.call("oauth2/resource/get_user_info", &form([])).await, "/data/user_id"), "u2");
    let refresh = with(&shop.refresh_form(&text(&tokens, "/refresh_token")), "scope", "userinfo");
    assert_eq!(text(&shop.call("oauth2/RefreshToken", &refresh).await, "/scope"), "userinfo");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_denies_is_sent_back_without_a_code() {
    let shop = Shop::open().await;
    let page = open(&authorize_url(&shop, &to_agree())).await.page();
    let location = press(&page, "deny", Some("u1")).await.sent();
    assert_eq!(location, format!("{BACK}?error=access_denied&state=s+%261"));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_machines_way_is_the_browsers_way() {
    let shop = Shop::open().await;
    let url = authorize_url(&shop, &to_agree());
    let page = open(&url).await.page();
    let by_hand = press(&page, "approve", Some("u1")).await.sent();
    let by_machine = shop.sandbox.browse_authorize(&url, "u1", true).await.expect("a redirect");
    let codes = [&by_hand, &by_machine].map(|location| param(location, "code"));
    assert_ne!(codes[0], codes[1]);
    assert_eq!(by_hand.replace(&codes[0], "CODE"), by_machine.replace(&codes[1], "CODE"));
    for code in &codes {
        assert!(shop.call(TOKEN, &exchange(code)).await.get("access_token").is_some());
    }
    let denied = shop.sandbox.browse_authorize(&url, "u1", false).await;
    assert_eq!(denied.as_ref(), Ok(&press(&page, "deny", Some("u1")).await.sent()));
    assert_eq!((shop.sandbox.calls("web_authorize_page"), shop.sandbox.calls("web_authorize")), (1, 4));
    assert!(shop.sandbox.call_log().iter().all(|call| !call.params.contains_key("code")));
    shop.close().await;
}

/// What is refused: a parameter, its value, the code. None of it leads anywhere.
const CHECKS: [(&str, &str, i64); 13] = [
    ("client_id", "", 0),
    ("client_id", "not an id!", 80),
    ("client_id", "nobody", 82),
    ("redirect_uri", "", 0),
    ("redirect_uri", "https://evil.example/", 54),
    ("redirect_uri", "https://pay.acme.example/oauth/fomo/return/", 54),
    ("redirect_uri", "https://pay.acme.example/oauth/fomo/return?next=https://evil.example", 54),
    ("redirect_uri", "https://pay.acme.example@evil.example/oauth/fomo/return", 54),
    ("response_type", "token", 0),
    ("state", "", 0),
    ("scope", "", 0),
    ("scope", "userinfo everything", 54),
    ("scope", "userinfo  paytoken", 54),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_request_shows_an_error_and_leads_nowhere() {
    let shop = Shop::open().await;
    let good = open(&authorize_url(&shop, &to_agree())).await.page();
    for (name, value, code) in CHECKS {
        let url = authorize_url(&shop, &with(&to_agree(), name, value));
        let page = open(&url).await.page();
        assert_eq!(page.status, 400, "{name}={value}");
        assert!(page.html.contains(&format!("Error {code}: ")), "{name}={value}: {}", page.html);
        assert_eq!(stayed(shop.sandbox.browse_authorize(&url, "u1", true).await), page.html, "{name}={value}");
        let forged = good.html.replace(&hidden(name, &to_agree()[name]), &hidden(name, value));
        let forged = crate::browser::Page { html: forged, ..open(&authorize_url(&shop, &to_agree())).await.page() };
        assert_eq!(press(&forged, "approve", Some("u1")).await.page().html, page.html, "{name}={value}");
    }
    assert!(stayed(shop.sandbox.browse_authorize(&authorize_url(&shop, &to_agree()), "nobody", true).await).contains("Error 74: "));
    for elsewhere in ["", "nonsense", &shop.sandbox.fomo_base_url(), &pay_url(&shop, &to_agree())] {
        let error = shop.sandbox.browse_authorize(elsewhere, "u1", true).await.expect_err("no page");
        assert_eq!(error, tillgate::sandbox::BrowseError::OtherPage);
    }
    shop.close().await;
}

fn hidden(name: &str, value: &str) -> String {
    format!("name=\"{name}\" value=\"{}\"", value.replace('&', "&amp;"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_says_is_shown_as_text() {
    let shop = Shop::open().await;
    shop.sandbox.create_user("<i>u3</i>", "\"><img>", &[]);
    let nasty = "\"><script>alert('&amp;')</script>";
    let page = open(&authorize_url(&shop, &with(&to_agree(), "state", nasty))).await.page();
    assert!(!page.html.contains("<img") && !page.html.contains("<i>"), "{}", page.html);
    let location = press(&page, "approve", Some("<i>u3</i>")).await.sent();
    assert_eq!(param(&location, "state"), nasty, "it goes back as it came");
    for name in ["client_id", "redirect_uri", "scope"] {
        let page = open(&authorize_url(&shop, &with(&to_agree(), name, nasty))).await.page();
        assert_eq!(page.status, 400, "{name}");
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_of_the_page_works_once_in_time_and_for_what_was_agreed() {
    let shop = Shop::open().await;
    let narrow = authorize_url(&shop, &with(&to_agree(), "scope", "userinfo"));
    let code = param(&shop.sandbox.browse_authorize(&narrow, "u1", true).await.expect("a redirect"), "code");
    let good = with(&exchange(&code), "scope", "userinfo");
    let checks = [
        ("client_secret", "guess", 12),
        ("client_id", "nobody", 82),
        ("grant_type", "password", 0),
        ("grant_type", "", 0),
        ("redirect_uri", "https://evil.example/", 54),
        ("scope", "userinfo paytoken", 54),
        ("code", "guess", 0),
    ];
    for (name, value, status) in checks {
        assert_eq!(shop.call(TOKEN, &with(&good, name, value)).await["status"], status, "{name}={value}");
    }
    let bare = with(&with(&with(&good, "grant_type", "code"), "scope", ""), "redirect_uri", BACK);
    assert_eq!(text(&shop.call(TOKEN, &bare).await, "/scope"), "userinfo", "all that was agreed to");
    assert_eq!(shop.call(TOKEN, &with(&good, "redirect_uri", BACK)).await["status"], 3, "once");

    let late = param(&shop.sandbox.browse_authorize(&narrow, "u1", true).await.expect("a redirect"), "code");
    shop.sandbox.advance(600);
    assert_eq!(shop.call(TOKEN, &with(&good, "code", &late)).await["status"], 3);
    let app = shop.sandbox.authorize(&shop.session, "acme").expect("a code");
    assert_eq!(shop.call(TOKEN, &exchange(&app)).await["status"], 0, "the app flow still names its redirect_uri");
    let app = with(&with(&exchange(&app), "grant_type", "code"), "redirect_uri", BACK);
    assert_eq!(shop.call(TOKEN, &app).await["status"], 0, "and its grant_type has one value");
    shop.close().await;
}
