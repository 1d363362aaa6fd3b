//! Puts an answer on the wire, whole or broken. A response body that fails at its first poll makes actix drop the
//! connection before the buffered head is flushed, so the caller sees its request vanish without a byte of answer.

use std::io;

use actix_web::http::header::ContentType;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use futures_util::stream;

use super::faults::Answer;

pub(super) fn respond(answer: Answer) -> HttpResponse {
    respond_with(answer, |body| {
        let mut head = HttpResponse::Ok();
        head.content_type(ContentType::json());
        (head, body.to_string())
    })
}

/// As [`respond`] for replies that are not JSON alone: `whole` gives the head and the body of one that nothing breaks.
pub(super) fn respond_with<R>(answer: Answer<R>, whole: impl FnOnce(R) -> (HttpResponseBuilder, String)) -> HttpResponse {
    match answer {
        Answer::Body(reply) => {
            let (mut head, body) = whole(reply);
            head.body(body)
        }
        Answer::Truncated(reply) => {
            let (head, body) = whole(reply);
            truncated(head, body)
        }
        Answer::Garbage => HttpResponse::Ok().content_type(ContentType::html()).body("<br />\n<b>Warning</b>: mysqli::query(): gone away"),
        Answer::Empty => HttpResponse::Ok().content_type(ContentType::json()).finish(),
        Answer::Error500 => HttpResponse::InternalServerError().body("Internal Server Error"),
        Answer::Cut => HttpResponse::Ok().no_chunking(1).streaming(stream::once(async { Err::<Bytes, _>(io::Error::other("cut")) })),
    }
}

/// Half of the body under the full `Content-Length`, then a cut.
fn truncated(mut head: HttpResponseBuilder, body: String) -> HttpResponse {
    let length = body.len() as u64;
    let half = Bytes::from(body).split_to(usize::try_from(length / 2).unwrap_or(0));
    let parts = stream::unfold(Some(half), |half| async move {
        match half {
            Some(half) => Some((Ok(half), None)),
            None => {
                // One turn of the loop, so that the first half is flushed before the connection drops.
                tokio::task::yield_now().await;
                Some((Err(io::Error::other("cut")), None))
            }
        }
    });
    head.no_chunking(length).streaming(parts)
}
