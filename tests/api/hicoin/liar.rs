//! Somebody between the gateway and Hicoin who changes what Hicoin's lists say.

use std::fmt::{Debug, Formatter};
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};
use tillgate::domain::audit::By;
use tillgate::flows::setup;

use super::ways::World;
use crate::harness::{hicoin, merchant};

type Lie = Box<dyn Fn(Value) -> Vec<Value> + Send>;

/// What is told in place of an entry, by the entry's `request_id`.
#[derive(Clone, Default)]
struct Lies(Arc<Mutex<Vec<(String, Lie)>>>);

pub struct Liar {
    lies: Lies,
    server: ServerHandle,
}

impl Debug for Liar {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Liar")
    }
}

impl Liar {
    /// Stands between the gateway's merchant and Hicoin from now on.
    pub async fn between(world: &World) -> Self {
        let lies = Lies::default();
        let (told, origin) = (lies.clone(), world.app.sandbox.hicoin_base_url());
        let client = world.app.http.clone();
        let door =
            move || App::new().app_data(web::Data::new((told.clone(), origin.clone(), client.clone()))).default_service(web::to(pass_on));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let base_url = format!("http://{}/", listener.local_addr().expect("an address"));
        let server = HttpServer::new(door).workers(1).disable_signals().listen(listener).expect("a server").run();
        let handle = server.handle();
        tokio::spawn(server);
        let mut document = merchant("acme", &world.app.sandbox, &json!({}));
        let account = hicoin(&world.app.sandbox, &json!({ "base_url": base_url }));
        document.accounts.insert(tillgate::domain::order::Provider::Hicoin, account);
        setup::apply(&world.app.context, &By::operator("test"), &document).await.expect("another address");
        world.app.context.tenants.forget();
        Self { lies, server: handle }
    }

    /// Lists tell these entries in place of that of an order.
    pub fn tells(&self, trade_id: &str, lie: impl Fn(Value) -> Vec<Value> + Send + 'static) {
        self.lies.0.lock().expect("no panic").push((trade_id.to_owned(), Box::new(lie)));
    }

    /// Lists tell an order's entry with another value.
    pub fn says(&self, trade_id: &str, key: &'static str, value: Value) {
        self.tells(trade_id, move |mut entry| {
            let object = entry.as_object_mut().expect("an entry");
            object.retain(|name, _| name.trim() != key);
            object.insert(key.to_owned(), value.clone());
            vec![entry]
        });
    }

    /// Lists tell the truth again.
    pub fn repent(&self) {
        self.lies.0.lock().expect("no panic").clear();
    }

    pub async fn stop(self) {
        self.server.stop(false).await;
    }
}

async fn pass_on(with: web::Data<(Lies, String, reqwest::Client)>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let (lies, origin, client) = with.get_ref();
    let url = format!("{origin}{}", request.uri().to_string().trim_start_matches('/'));
    let method = request.method().as_str().parse().expect("a method");
    let call = client.request(method, url).header("content-type", "application/x-www-form-urlencoded").body(body.to_vec());
    let Ok(answer) = call.send().await else { return HttpResponse::BadGateway().finish() };
    let Ok(mut answer) = answer.json::<Value>().await else { return HttpResponse::BadGateway().finish() };
    if let Some(entries) = answer["data"].as_array_mut() {
        let lies = lies.0.lock().expect("no panic");
        let told = |entry: Value| match lies.iter().find(|(trade_id, _)| entry["request_id"] == **trade_id) {
            Some((_, lie)) => lie(entry),
            None => vec![entry],
        };
        *entries = std::mem::take(entries).into_iter().flat_map(told).collect();
    }
    HttpResponse::Ok().json(answer)
}
