//! Agreeing in a browser, or without being asked.

use tillgate::sandbox::{BrowseError, Fault, HicoinError, HicoinOauthApp, Options};

use super::harness::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_user_agrees_on_a_page() {
    let wallet = Wallet::open().await;
    let page = open(&url(&wallet, &to_agree())).await.page();
    assert_eq!((page.status, choices(&page)), (200, vec![ANN.to_string(), BOB.to_string()]));
    for shown in ["<strong>acme-hicoin</strong>", "<strong>snsapi_userinfo</strong>", "135****7778 (10001)"] {
        assert!(page.html.contains(shown), "{shown} in {}", page.html);
    }
    let location = press(&page, "approve", Some("10002")).await.sent();
    let code = param(&location, "code");
    assert_eq!(location, format!("{BACK}?code={code}&state=Abc123"));
    let tokens = wallet.oauth(ACCESS_TOKEN, &exchange(&code)).await;
    assert_eq!(text(&tokens, "/openid"), wallet.sandbox.hicoin_openid(None, BOB).expect("the app"));
    assert_eq!(press(&page, "deny", Some("10001")).await.sent(), format!("{BACK}?error=access_denied&state=Abc123"));
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_machines_way_is_the_browsers_way() {
    let wallet = Wallet::open().await;
    let url = url(&wallet, &to_agree());
    let page = open(&url).await.page();
    for (approve, button) in [(true, "approve"), (false, "deny")] {
        let by_hand = press(&page, button, Some("10001")).await.sent();
        let by_machine = wallet.sandbox.browse_hicoin_authorize(&url, ANN, approve).await.expect("a redirect");
        let strip = |location: &str| if approve { location.replace(&param(location, "code"), "CODE") } else { location.to_owned() };
        assert_eq!(strip(&by_hand), strip(&by_machine));
    }
    assert!(stayed(wallet.sandbox.browse_hicoin_authorize(&url, MERCHANT, true).await).contains("Error 110065: "));
    let elsewhere = wallet.sandbox.browse_hicoin_authorize(&wallet.sandbox.hicoin_base_url(), ANN, true).await;
    assert_eq!(elsewhere, Err(BrowseError::OtherPage));
    assert_eq!((wallet.sandbox.calls("hicoin_authorize_page"), wallet.sandbox.calls("hicoin_authorize")), (1, 5));
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_for_the_openid_alone() {
    let wallet = Wallet::open().await;
    let openid = async |params: &Form| {
        let location = open(&url(&wallet, params)).await.sent();
        let tokens = wallet.oauth(ACCESS_TOKEN, &exchange(&param(&location, "code"))).await;
        assert_eq!(text(&tokens, "/scope"), "snsapi_base");
        text(&tokens, "/openid")
    };
    let [ann, bob] = [ANN, BOB].map(|uid| wallet.sandbox.hicoin_openid(None, uid).expect("the app"));
    assert_ne!(ann, bob);
    assert_eq!(openid(&silently()).await, ann, "the first one who was registered");
    wallet.sandbox.set_hicoin_oauth_user(None, Some(BOB)).expect("Bob");
    assert_eq!(openid(&silently()).await, bob);
    for nobody in [MERCHANT, 4711] {
        assert_eq!(wallet.sandbox.set_hicoin_oauth_user(None, Some(nobody)), Err(HicoinError::NoSuchUser));
    }
    assert_eq!(wallet.sandbox.set_hicoin_oauth_user(Some("nobody"), None), Err(HicoinError::NoSuchApp));
    wallet.sandbox.set_hicoin_oauth_user(None, None).expect("the app");
    assert_eq!(openid(&silently()).await, ann);
    let stateless = open(&url(&wallet, &with(&silently(), "state", ""))).await.sent();
    assert_eq!(stateless, format!("{BACK}?code={}", param(&stateless, "code")));
    wallet.close().await;
}

/// What is refused: a parameter, its value, the code. None of it leads anywhere.
const CHECKS: [(&str, &str, i64); 12] = [
    ("app_id", "", 100_004),
    ("app_id", "nobody", 100_015),
    ("redirect_uri", "", 100_004),
    ("redirect_uri", "https://evil.example/", 100_004),
    ("redirect_uri", "https://pay.acme.example/oauth/hicoin/return/../../evil", 100_004),
    ("response_type", "token", 100_004),
    ("scope", "", 100_004),
    ("scope", "snsapi_everything", 100_004),
    ("state", "a-b", 100_004),
    ("state", "<script>", 100_004),
    ("state", "ä", 100_004),
    ("wallet_redirect", "", 100_004),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_request_shows_an_error_and_leads_nowhere() {
    let wallet = Wallet::open().await;
    for good in [to_agree(), silently()] {
        for (name, value, code) in CHECKS {
            let url = url(&wallet, &with(&good, name, value));
            let page = open(&url).await.page();
            assert_eq!(page.status, 400, "{name}={value}");
            assert!(page.html.contains(&format!("Error {code}: ")), "{name}={value}: {}", page.html);
            for approve in [true, false] {
                let by_machine = wallet.sandbox.browse_hicoin_authorize(&url, ANN, approve).await;
                assert_eq!(stayed(by_machine), page.html, "{name}={value}");
            }
        }
        let longest = with(&good, "state", &"x".repeat(128));
        assert!(wallet.sandbox.browse_hicoin_authorize(&url(&wallet, &longest), ANN, true).await.is_ok());
        let longer = url(&wallet, &with(&good, "state", &"x".repeat(129)));
        assert!(stayed(wallet.sandbox.browse_hicoin_authorize(&longer, ANN, true).await).contains("state"));
    }
    let nasty = "\"><script>alert(1)</script>";
    let page = open(&url(&wallet, &with(&to_agree(), "wallet_redirect", nasty))).await.page();
    assert!(page.html.contains("value=\"&quot;&gt;&lt;script&gt;"), "{}", page.html);
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_can_have_credentials_of_its_own_at_oauth() {
    let own = HicoinOauthApp {
        app_id: Some("acme-oauth".to_owned()),
        secret: Some("acme-oauth-secret".to_owned()),
        redirect_uri: "http://127.0.0.1:8080/return?shop=7".to_owned(),
        ..HicoinOauthApp::default()
    };
    let lost = HicoinOauthApp { open_app: Some("nobody".to_owned()), ..HicoinOauthApp::default() };
    let hicoin_oauth_apps = vec![HicoinOauthApp::default(), own.clone(), lost];
    let wallet = Wallet::open_with(Options { manual_callbacks: true, hicoin_oauth_apps, ..Options::default() }).await;
    let params = with(&with(&to_agree(), "app_id", "acme-oauth"), "redirect_uri", &own.redirect_uri);
    let location = wallet.sandbox.browse_hicoin_authorize(&url(&wallet, &params), ANN, true).await.expect("a redirect");
    assert!(location.starts_with("http://127.0.0.1:8080/return?shop=7&code="), "{location}");
    let exchange = exchange(&param(&location, "code"));
    assert_eq!(code(&wallet.oauth(ACCESS_TOKEN, &exchange).await), 100_004, "another app's code");
    let exchange = with(&with(&exchange, "app_id", "acme-oauth"), "secret", "acme-oauth-secret");
    let openid = text(&wallet.oauth(ACCESS_TOKEN, &exchange).await, "/openid");
    assert_eq!(openid, wallet.sandbox.hicoin_openid(Some("acme-oauth"), ANN).expect("the app"));
    assert_ne!(openid, wallet.sandbox.hicoin_openid(None, ANN).expect("the app"), "each app knows a user by another id");
    wallet.sandbox.set_hicoin_oauth_redirect_uri(Some("acme-oauth"), BACK).expect("the app");
    assert!(stayed(wallet.sandbox.browse_hicoin_authorize(&url(&wallet, &params), ANN, true).await).contains("redirect_uri"));
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn agreeing_can_go_wrong() {
    let wallet = Wallet::open().await;
    let url = url(&wallet, &to_agree());
    let browse = || wallet.sandbox.browse_hicoin_authorize(&url, ANN, true);
    wallet.sandbox.fault("hicoin_authorize", Fault::Code(100_001));
    assert_eq!(browse().await.expect("a redirect"), format!("{BACK}?error=server_error&error_description=100001&state=Abc123"));
    wallet.sandbox.fault("hicoin_authorize", Fault::WrongEcho);
    assert_eq!(param(&browse().await.expect("a redirect"), "state"), "1Abc123");
    wallet.sandbox.fault("hicoin_authorize", Fault::BareRedirect);
    assert_eq!(browse().await.expect("a redirect"), BACK);
    wallet.sandbox.fault("hicoin_authorize", Fault::NoRedirect);
    assert!(stayed(browse().await).contains("Thank you"));
    wallet.sandbox.fault("hicoin_authorize", Fault::LoseAfter);
    assert_eq!(browse().await, Err(BrowseError::NoAnswer));
    wallet.sandbox.fault("hicoin_authorize_page", Fault::LoseBefore);
    assert_eq!(try_to_open(&url).await, None);
    wallet.close().await;
}
