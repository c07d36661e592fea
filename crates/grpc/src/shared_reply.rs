//! Replies that are the same for everybody: encoded once and compressed once, and sent to all who ask.

use std::future::ready;
use std::io::Read;
use std::sync::{Arc, OnceLock};

use flate2::Compression;
use flate2::bufread::GzEncoder;
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::{BodyExt, Full};
use prost::Message;
use prost::bytes::{BufMut, Bytes, BytesMut};
use tonic::body::Body;
use tonic::metadata::MetadataMap;

const ENCODING: &str = "grpc-encoding";
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";
const GZIP: &str = "gzip";
/// What precedes a message on the wire: one byte that says whether it is compressed, and the length in four bytes.
const FRAME_HEADER_LEN: usize = 5;

/// An encoded reply. Clones share its bytes.
#[derive(Clone)]
pub(crate) struct SharedReply(Arc<Encoded>);

struct Encoded {
    plain: Bytes,
    compressed: OnceLock<Bytes>,
}

/// Notes in the extensions of a response what to send instead of its message.
#[derive(Clone)]
struct ToSend {
    frame: Bytes,
    is_compressed: bool,
}

/// Marks a response whose body takes no memory of its own.
#[derive(Clone, Copy)]
pub(crate) struct IsShared;

impl SharedReply {
    /// Encodes a message.
    pub(crate) fn of(message: &impl Message) -> Self {
        let plain = framed(false, &message.encode_to_vec());
        Self(Arc::new(Encoded { plain, compressed: OnceLock::new() }))
    }

    /// The bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.0.plain.len() + self.0.compressed.get().map_or(0, Bytes::len)
    }

    #[cfg(test)]
    pub(crate) fn shares_bytes_with(&self, other: &Self) -> bool {
        std::ptr::eq(self.0.plain.as_ptr(), other.0.plain.as_ptr())
            && std::ptr::eq(self.compressed().as_ptr(), other.compressed().as_ptr())
    }

    /// A response that sends this reply instead of its message, compressed if the client accepts that.
    pub(crate) fn response<M: Default>(&self, asked: &MetadataMap) -> tonic::Response<M> {
        let is_compressed = accepts_gzip(asked);
        let frame = if is_compressed { self.compressed().clone() } else { self.0.plain.clone() };
        let mut response = tonic::Response::new(M::default());
        response.extensions_mut().insert(ToSend { frame, is_compressed });
        response
    }

    fn compressed(&self) -> &Bytes {
        self.0.compressed.get_or_init(|| {
            let mut compressed = Vec::new();
            let mut encoder = GzEncoder::new(&self.0.plain[FRAME_HEADER_LEN..], Compression::default());
            match encoder.read_to_end(&mut compressed) {
                Ok(_) => framed(true, &compressed),
                // Memory to memory: it cannot fail. The plain reply is right for every client.
                Err(_) => self.0.plain.clone(),
            }
        })
    }
}

fn framed(is_compressed: bool, message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(FRAME_HEADER_LEN + message.len());
    frame.put_u8(u8::from(is_compressed));
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.extend_from_slice(message);
    frame.freeze()
}

fn accepts_gzip(asked: &MetadataMap) -> bool {
    let accepted = asked.get(ACCEPT_ENCODING).and_then(|accepted| accepted.to_str().ok()).unwrap_or_default();
    accepted.split(',').any(|encoding| encoding.trim() == GZIP)
}

/// The response, with the shared reply as its body if it has one.
pub(crate) fn send_shared(mut response: Response<Body>) -> Response<Body> {
    let Some(ToSend { frame, is_compressed }) = response.extensions_mut().remove() else { return response };
    let trailers =
        HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
    if is_compressed {
        response.headers_mut().insert(ENCODING, HeaderValue::from_static(GZIP));
    }
    response.extensions_mut().insert(IsShared);
    response.map(|_| Body::new(Full::new(frame).with_trailers(ready(Some(Ok(trailers))))))
}
