//! A merchant in small: a sandbox, a linked user, and a receiver for callbacks, all over real HTTP.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpMessage, HttpRequest, HttpResponse, HttpServer, web};
use rust_decimal::Decimal;
use serde_json::Value;
use sha1::{Digest, Sha1};
use tillgate::sandbox::{ClientSetup, Options, Sandbox};
use tokio::sync::mpsc;

/// The fixed time at which most tests play.
pub const NOW: i64 = 1_700_000_000;
pub const USDT: &str = "5";

pub type Form = BTreeMap<String, String>;

pub struct Shop {
    pub sandbox: Sandbox,
    pub http: reqwest::Client,
    pub receiver: Receiver,
    pub session: String,
    pub access: String,
    pub refresh: String,
}

pub fn form<const N: usize>(pairs: [(&str, &str); N]) -> Form {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// A copy with one parameter changed.
pub fn with(form: &Form, name: &str, value: &str) -> Form {
    let mut form = form.clone();
    form.insert(name.to_owned(), value.to_owned());
    form
}

pub fn sign(timestamp: i64) -> String {
    hex::encode(Sha1::digest(format!("acme-secret{timestamp}")))
}

impl Shop {
    /// Time stands at `NOW`, callbacks are stepped by hand, user `u1` owns 100 usdt and is linked, the shop 1000.
    pub async fn open() -> Self {
        Self::open_with(Options { manual_callbacks: true, ..Options::default() }).await
    }

    pub async fn open_with(options: Options) -> Self {
        let sandbox = Sandbox::start(options).await.expect("the sandbox starts");
        sandbox.set_clock(Some(NOW));
        let session = sandbox.create_user("u1", "Ann", &[(USDT, Decimal::from(100))]);
        sandbox.set_merchant_balance("acme", USDT, Decimal::from(1000));
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let receiver = Receiver::open();
        let mut shop = Self { sandbox, http, receiver, session, access: String::new(), refresh: String::new() };
        let tokens = shop.link().await;
        shop.access = text(&tokens, "/access_token");
        shop.refresh = text(&tokens, "/refresh_token");
        shop
    }

    pub async fn link(&self) -> Value {
        let code = self.sandbox.authorize(&self.session, "acme").expect("the user agrees");
        self.call("oauth2/authorize/token", &self.token_form(&code)).await
    }

    pub fn token_form(&self, code: &str) -> Form {
        form([
            ("code", code),
            ("client_id", "acme"),
            ("client_secret", "acme-secret"),
            ("grant_type", "authorization_code"),
            ("redirect_uri", &ClientSetup::default().redirect_uri),
        ])
    }

    pub fn refresh_form(&self, refresh_token: &str) -> Form {
        form([
            ("refresh_token", refresh_token),
            ("client_id", "acme"),
            ("client_secret", "acme-secret"),
            ("grant_type", "refresh_token"),
            ("scope", "userinfo paytoken"),
        ])
    }

    pub fn pre_pay_form(&self, trade_id: &str) -> Form {
        let mut form = self.payment("1", trade_id);
        form.insert("redirect_uri".to_owned(), ClientSetup::default().redirect_uri);
        form
    }

    pub fn pay_user_form(&self, trade_id: &str) -> Form {
        let mut payout = self.payment("2", trade_id);
        payout.extend(form([("user_id", "u1"), ("wallet_pwd", "acme-pwd")]));
        payout
    }

    fn payment(&self, direction: &str, trade_id: &str) -> Form {
        form([
            ("direction", direction),
            ("timestamp", &NOW.to_string()),
            ("sign", &sign(NOW)),
            ("trade_id", trade_id),
            ("amount", "10.5"),
            ("coin_id", USDT),
            ("client_id", "acme"),
            ("server_uri", &self.receiver.url),
            ("state", "xyz"),
            ("scope", "paytoken"),
            ("response_type", "code"),
        ])
    }

    pub async fn send(&self, path: &str, form: &Form) -> reqwest::Result<reqwest::Response> {
        let url = format!("{}{path}", self.sandbox.fomo_base_url());
        self.http.post(url).bearer_auth(&self.access).form(form).send().await
    }

    pub async fn call(&self, path: &str, form: &Form) -> Value {
        let response = self.send(path, form).await.expect("an answer");
        assert_eq!(response.status(), 200);
        response.json().await.expect("JSON")
    }

    pub async fn pre_pay(&self, trade_id: &str) -> Value {
        self.call("oauth2/resource/pre_pay", &self.pre_pay_form(trade_id)).await
    }

    pub async fn pay_user(&self, trade_id: &str) -> Value {
        self.call("oauth2/authorize/pay_user", &self.pay_user_form(trade_id)).await
    }

    pub async fn detail(&self, transfer_id: &str) -> Value {
        self.call("oauth2/resource/get_transfer_detail", &form([("transfer_id", transfer_id)])).await
    }

    /// The user's, the shop's, and FOMO's share of all usdt.
    pub fn balances(&self) -> [Decimal; 3] {
        [self.sandbox.balance("u1", USDT), self.sandbox.merchant_balance("acme", USDT), self.sandbox.fees_kept(USDT)]
    }

    /// The law of every test: no money was made or lost.
    pub async fn close(self) {
        assert_eq!(self.balances().iter().sum::<Decimal>(), Decimal::from(1100));
        self.receiver.handle.stop(false).await;
        self.sandbox.stop().await;
    }
}

pub fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {value}")).to_owned()
}

pub fn amount(text: &str) -> Decimal {
    text.parse().expect("a decimal")
}

/// Takes callbacks and answers them with `status` and `text`.
pub struct Receiver {
    pub url: String,
    pub status: Arc<AtomicU16>,
    text: Arc<Mutex<&'static str>>,
    arrived: mpsc::UnboundedReceiver<Form>,
    pub handle: ServerHandle,
}

struct Inbox {
    status: Arc<AtomicU16>,
    text: Arc<Mutex<&'static str>>,
    arrived: mpsc::UnboundedSender<Form>,
}

impl Receiver {
    pub fn open() -> Self {
        let status = Arc::new(AtomicU16::new(200));
        let text = Arc::new(Mutex::new(""));
        let (sender, arrived) = mpsc::unbounded_channel();
        let inbox = web::Data::new(Inbox { status: Arc::clone(&status), text: Arc::clone(&text), arrived: sender });
        let app = move || App::new().app_data(inbox.clone()).default_service(web::to(receive));
        let server = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", 0)).expect("a port");
        let url = format!("http://{}/callbacks/fomo/secret", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { url, status, text, arrived, handle }
    }

    pub fn answers(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    pub fn says(&self, text: &'static str) {
        *self.text.lock().expect("not poisoned") = text;
    }

    /// Waits for the next callback.
    pub async fn next(&mut self) -> Form {
        self.arrived.recv().await.expect("a callback")
    }

    /// Everything that has arrived and was not looked at.
    pub fn drain(&mut self) -> Vec<Form> {
        std::iter::from_fn(|| self.arrived.try_recv().ok()).collect()
    }
}

async fn receive(inbox: web::Data<Inbox>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let fields = if request.content_type() == "application/json" {
        serde_json::from_slice(&body).expect("a flat JSON object")
    } else {
        serde_urlencoded::from_bytes(&body).expect("a form")
    };
    // Read before the test can know of the callback and change it.
    let status = inbox.status.load(Ordering::SeqCst);
    let text = *inbox.text.lock().expect("not poisoned");
    inbox.arrived.send(fields).expect("the test still listens");
    HttpResponse::build(actix_web::http::StatusCode::from_u16(status).expect("a status")).body(text)
}
