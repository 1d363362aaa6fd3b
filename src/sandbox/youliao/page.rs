//! The page where a person lands with a token: nothing is to be done there, the visit is the authorisation (youliao.md).

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;

/// What the browser is shown. Nothing that came with the request is printed.
pub(super) fn show(known: bool) -> HttpResponse {
    let (mut answer, title, text) = if known {
        (HttpResponse::Ok(), "授权成功", "Authorised: Youliao knows this token. You may close this page.")
    } else {
        (HttpResponse::NotFound(), "token不正确", "Youliao does not know this token. Ask the platform that sent you for a new one.")
    };
    let head = format!("<!doctype html><html lang=\"zh\"><head><meta charset=\"utf-8\"><title>{title}</title></head>");
    answer.content_type(ContentType::html()).body(format!("{head}<body><h1>{title}</h1><p>{text}</p></body></html>"))
}
