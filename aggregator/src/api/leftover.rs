//! A refusal that is heard.
//!
//! Whoever is refused early, for a missing token or for a file that is too
//! large, is still sending. A server that answers and closes has TCP reset the
//! line, and the reset destroys the answer before it was read: the sender sees
//! a broken pipe, takes it for a bad network and sends the same again, for
//! ever. So what nobody reads is read and thrown away for a while, while the
//! answer is on its way (RFC 9112, section 9.6).

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::StreamExt;
use hyper::body::{Frame, SizeHint};
use tokio::time::timeout;

use super::Api;

/// How long a refused sender is listened to.
const FOR: Duration = Duration::from_secs(30);

/// How many bytes of one are thrown away, at most.
const AT_MOST: u64 = 256 * 1024 * 1024;

/// Hears a request out, whatever became of it.
pub(super) async fn heard_out(State(api): State<Api>, request: Request, next: Next) -> Response {
    let request = request.map(|body| {
        Body::new(HeardOut {
            body: Some(body),
            idle: api.idle,
        })
    });
    next.run(request).await
}

/// A body that is read to its end even when its reader lost interest.
struct HeardOut {
    body: Option<Body>,
    /// How long the sender may be silent.
    idle: Duration,
}

impl HttpBody for HeardOut {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = self.body.as_mut() else {
            return Poll::Ready(None);
        };
        let frame = Pin::new(body).poll_frame(context);
        if let Poll::Ready(None | Some(Err(_))) = frame {
            self.body = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for HeardOut {
    fn drop(&mut self) {
        let left = self.body.take().filter(|body| !body.is_end_stream());
        if let (Some(body), Ok(runtime)) = (left, tokio::runtime::Handle::try_current()) {
            runtime.spawn(timeout(FOR, throw_away(body, self.idle)));
        }
    }
}

async fn throw_away(body: Body, idle: Duration) {
    let (mut chunks, mut bytes) = (body.into_data_stream(), 0);
    while let Ok(Some(Ok(chunk))) = timeout(idle, chunks.next()).await {
        bytes += chunk.len() as u64;
        if bytes > AT_MOST {
            return;
        }
    }
}
