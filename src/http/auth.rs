//! Who may do what: an extractor, so that a handler without a caller does not compile.

use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, web};
use ipnet::IpNet;
use secrecy::SecretString;

use super::problem::Problem;
use super::{detached, request_id};
use crate::domain::audit::By;
use crate::domain::ids::MerchantId;
use crate::flows::Context;
use crate::flows::tenant::{Caller, Scope, authenticate, remembered};

/// A caller whose key may do what `S` needs.
#[derive(Debug)]
pub struct Authorized<S> {
    caller: Caller,
    needs: PhantomData<S>,
}

impl<S> Authorized<S> {
    /// Whose key it is.
    pub fn merchant(&self) -> MerchantId {
        self.caller.merchant
    }

    /// Who does it, in which request: for the record.
    pub fn by(&self) -> By {
        self.caller.by(request_id::current())
    }
}

/// What a handler needs.
pub trait Needs: 'static {
    /// The scope of it.
    const SCOPE: Scope;
}

/// Reading orders.
#[derive(Debug)]
pub struct Reads;
/// Making deposits and links.
#[derive(Debug)]
pub struct MakesDeposits;
/// Making payouts.
#[derive(Debug)]
pub struct MakesPayouts;
/// Deciding what is otherwise a person's business.
#[derive(Debug)]
pub struct Administers;

impl Needs for Reads {
    const SCOPE: Scope = Scope::OrdersRead;
}
impl Needs for MakesDeposits {
    const SCOPE: Scope = Scope::DepositsWrite;
}
impl Needs for MakesPayouts {
    const SCOPE: Scope = Scope::PayoutsWrite;
}
impl Needs for Administers {
    const SCOPE: Scope = Scope::Admin;
}

impl<S: Needs> FromRequest for Authorized<S> {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(authorize::<S>(request))
    }
}

fn authorize<S: Needs>(request: &HttpRequest) -> Result<Authorized<S>, Problem> {
    let known = request.extensions().get::<Result<Caller, Problem>>().cloned();
    let caller = known.unwrap_or_else(|| Err(unauthorized()))?;
    if !caller.may(S::SCOPE) {
        let detail = format!("This key may not do that: it needs the scope {}.", S::SCOPE);
        return Err(Problem::new(StatusCode::FORBIDDEN, "scope_missing", detail));
    }
    Ok(Authorized { caller, needs: PhantomData })
}

/// Finds out who calls before anything else of the request is read: nobody learns what is wrong with a body that he may not send.
pub async fn know_caller(request: ServiceRequest, next: Next<impl MessageBody>) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if request.headers().contains_key(AUTHORIZATION) {
        let known = caller(request.request()).await;
        request.extensions_mut().insert(known);
    }
    next.call(request).await
}

fn unauthorized() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "Send a live API key as: Authorization: Bearer tg_...")
}

async fn caller(request: &HttpRequest) -> Result<Caller, Problem> {
    let context = request.app_data::<web::Data<Context>>().ok_or_else(|| Problem::internal(&"no context"))?;
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or_else(unauthorized)?;
    let (scheme, key) = header.split_once(' ').ok_or_else(unauthorized)?;
    let key = key.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || !key.starts_with("tg_") || key.len() > 128 {
        return Err(unauthorized());
    }
    let (context, key, address) = (context.clone(), SecretString::from(key), client_address(request));
    // Most keys are known: a task of its own is for the statement.
    let found = match remembered(&context, &key, address) {
        Some(found) => found,
        None => detached(async move { authenticate(&context, &key, address).await }).await?,
    };
    found.ok_or_else(unauthorized)
}

/// Networks of proxies whose `X-Forwarded-For` is believed.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(pub Vec<IpNet>);

/// Where a request came from: the peer, or what the last trusted proxy says of it.
pub fn client_address(request: &HttpRequest) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip().to_canonical();
    let trusted = request.app_data::<web::Data<TrustedProxies>>()?;
    let is_proxy = |address: &IpAddr| trusted.0.iter().any(|network| network.contains(address));
    let forwarded = request.headers().get_all("x-forwarded-for").map(|value| value.to_str().unwrap_or("unreadable"));
    let hops: Vec<&str> = forwarded.flat_map(|line| line.split(',')).map(str::trim).filter(|hop| !hop.is_empty()).collect();
    // From the peer backwards: the first address that is no proxy of ours is the client. Where one of
    // our proxies names what cannot be read, nobody knows: what stands before it is the client's own word.
    let mut last = peer;
    for hop in hops.into_iter().rev() {
        if !is_proxy(&last) {
            break;
        }
        last = hop_address(hop)?;
    }
    Some(last)
}

/// An address as proxies write it: with or without a port.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse().or_else(|_| hop.parse().map(|with_port: SocketAddr| with_port.ip()));
    address.ok().map(|address| address.to_canonical())
}
