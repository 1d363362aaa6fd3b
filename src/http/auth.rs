//! Who may do what: an extractor, so that a handler without a caller does not compile.

use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest, web};
use ipnet::IpNet;
use secrecy::SecretString;

use super::problem::Problem;
use crate::domain::ids::MerchantId;
use crate::flows::Context;
use crate::flows::tenant::{Caller, Scope, authenticate};

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

    /// Who decides, for the record.
    pub fn name(&self) -> String {
        self.caller.key.to_string()
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
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let caller = caller(&request).await?;
            if !caller.may(S::SCOPE) {
                let detail = format!("This key may not do that: it needs the scope {}.", S::SCOPE);
                return Err(Problem::new(StatusCode::FORBIDDEN, "scope_missing", detail));
            }
            Ok(Self { caller, needs: PhantomData })
        })
    }
}

async fn caller(request: &HttpRequest) -> Result<Caller, Problem> {
    let unauthorized = || Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "Send a live API key as: Authorization: Bearer tg_...");
    let context = request.app_data::<web::Data<Context>>().ok_or_else(|| Problem::internal(&"no context"))?;
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or_else(unauthorized)?;
    let (scheme, key) = header.split_once(' ').ok_or_else(unauthorized)?;
    let key = key.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || !key.starts_with("tg_") || key.len() > 128 {
        return Err(unauthorized());
    }
    let found = authenticate(context, &SecretString::from(key), client_address(request)).await.map_err(Problem::from)?;
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
