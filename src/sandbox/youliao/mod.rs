//! Youliao's authorisation, as its document describes it (youliao.md): one signed call that gives a token, and the page
//! to which a browser goes with it. Whatever a platform says of a person is taken for true.

mod check;
mod control;
mod page;
mod routes;
mod verbs;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::books::CallRecord;
use super::clock::lock;
use super::faults::{Answer, Faulty, run};
use super::world::World;

pub(super) use self::control::routes as control_routes;
pub(super) use self::routes::{CALL, PAGE, knows, routes};

/// The name by which faults and the call log know the call.
const OPERATION: &str = "youliao_oauth";

/// A platform as Youliao has assigned it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct YouliaoApp {
    /// Its id, a parameter of the call.
    pub app_id: String,
    /// The secret behind `sign`.
    pub app_secret: String,
}

impl Default for YouliaoApp {
    fn default() -> Self {
        Self { app_id: "acme-youliao".to_owned(), app_secret: "acme-youliao-secret".to_owned() }
    }
}

/// An authorisation that Youliao granted, with everything that it was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct YouliaoAuthorization {
    /// The platform.
    pub app_id: String,
    /// The person's mobile number.
    pub mobile: String,
    /// The person's name.
    pub name: String,
    /// The person's identity number.
    pub identity: String,
    /// How much, in yuan, as it came.
    pub amount: String,
    /// Opens the page.
    pub token: String,
    /// A browser was there with the token.
    pub opened: bool,
}

/// The parameters of a call.
type Form = BTreeMap<String, String>;

struct State {
    /// app_id to secret.
    apps: BTreeMap<String, String>,
    granted: Vec<YouliaoAuthorization>,
    /// Every call that is signed well is refused with these words.
    refusal: Option<String>,
}

/// The simulated provider.
pub(super) struct Youliao {
    state: Mutex<State>,
    world: Arc<World>,
}

impl Youliao {
    pub(super) fn new(world: Arc<World>, apps: Vec<YouliaoApp>) -> Self {
        let apps = apps.into_iter().map(|app| (app.app_id, app.app_secret)).collect();
        Self { state: Mutex::new(State { apps, granted: Vec::new(), refusal: None }), world }
    }

    /// Logs a call and runs it under the fault that waits for it.
    async fn handle(&self, form: Form) -> Answer {
        let at_ms = self.world.clock.now_ms();
        lock(&self.world.books).log(CallRecord { at_ms, operation: OPERATION, trade_id: None, ids: Vec::new(), params: form.clone() });
        let fault = self.world.faults.take(OPERATION, &[]).map(|strike| strike.fault);
        run(fault, &self.world.gate, &Call { youliao: self, form }).await
    }

    /// Grants an authorisation and gives its token, or says why not.
    fn grant(&self, form: &Form) -> Result<String, String> {
        let mut state = lock(&self.state);
        check::authenticate(&state.apps, form)?;
        if let Some(words) = &state.refusal {
            return Err(words.clone());
        }
        let told = |name| form.get(name).cloned().unwrap_or_default();
        let token = fresh_token();
        state.granted.push(YouliaoAuthorization {
            app_id: told("appId"),
            mobile: told("mobile"),
            name: told("name"),
            identity: told("identity"),
            amount: told("amount"),
            token: token.clone(),
            opened: false,
        });
        Ok(token)
    }

    /// A browser comes to the page. `false` for a token that was never given.
    fn open(&self, token: &str) -> bool {
        let mut state = lock(&self.state);
        let found = state.granted.iter_mut().find(|one| one.token == token);
        found.map(|one| one.opened = true).is_some()
    }

    fn granted(&self) -> Vec<YouliaoAuthorization> {
        lock(&self.state).granted.clone()
    }

    fn set_refusal(&self, words: Option<&str>) {
        lock(&self.state).refusal = words.map(str::to_owned);
    }
}

/// A call as the faults see it.
struct Call<'a> {
    youliao: &'a Youliao,
    form: Form,
}

impl Faulty for Call<'_> {
    fn execute(&self) -> Value {
        match self.youliao.grant(&self.form) {
            Ok(token) => json!({ "code": 1, "msg": "操作成功", "data": token }),
            Err(words) => json!({ "code": -1, "msg": words }),
        }
    }

    fn refuse(&self, code: i64) -> Value {
        json!({ "code": code, "msg": "操作失败" })
    }

    /// Nobody is called back.
    async fn callback_first(&self) -> Value {
        self.execute()
    }
}

/// A token in the form of the document's: `D2C-` and what a bcrypt hash looks like.
#[expect(clippy::expect_used, reason = "without randomness there is nothing to simulate")]
fn fresh_token() -> String {
    const LETTERS: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut bytes = [0_u8; 53];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    let hash: String = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 64)])).collect();
    format!("D2C-$2a$10${hash}")
}
