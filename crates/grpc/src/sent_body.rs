//! Keeps the bytes of a request as they were sent, and makes the fingerprint of the request.
//!
//! Decoding drops the fields that this version of the contract does not know, so the bytes are kept beside the decoded
//! message. A UUID means the same in capitals, so the fingerprint is made of its canonical form.

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use encore_domain::request::{DIGEST_LEN, Fingerprint};
use flate2::read::GzDecoder;
use http::Request;
use http_body_util::BodyExt;
use prost::bytes::Bytes;
use prost::{Message, decode_length_delimiter};
use sha2::{Digest, Sha256};
use tonic::body::Body;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

/// What precedes a message on the wire: one byte that says whether it is compressed, and the length in four bytes.
const FRAME_HEADER_LEN: usize = 5;

/// The body of a request as it was sent. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SentBody(Arc<Mutex<Vec<Bytes>>>);

/// Notes a [`SentBody`] in the extensions of a request. It is filled while the body is read.
pub(crate) fn keep_sent_body(request: Request<Body>) -> Request<Body> {
    let sent = SentBody::default();
    let kept = sent.clone();
    let mut request = request.map(|body| {
        Body::new(body.inspect_frame(move |frame| {
            if let Some(data) = frame.data_ref() {
                kept.0.lock().unwrap_or_else(PoisonError::into_inner).push(data.clone());
            }
        }))
    });
    request.extensions_mut().insert(sent);
    request
}

/// The body as it was sent; empty if it was not kept.
pub(crate) fn sent_body<T>(request: &tonic::Request<T>) -> SentBody {
    request.extensions().get().cloned().unwrap_or_default()
}

impl SentBody {
    /// The request of this RPC that was decoded from this body.
    pub(crate) fn of<'a, M: Message>(&'a self, rpc: &'a str, understood: &'a M) -> Call<'a, M> {
        Call { rpc, sent: self, understood, left_out: None }
    }

    /// The encoded message, decompressed; `None` if it cannot be read or was not kept. The service has read it before, so
    /// it is not larger than the service allows.
    fn message(&self) -> Option<Vec<u8>> {
        let body = self.0.lock().unwrap_or_else(PoisonError::into_inner).concat();
        let (header, message) = body.split_at_checked(FRAME_HEADER_LEN)?;
        match header[0] {
            0 => Some(message.to_vec()),
            1 => {
                let mut decompressed = Vec::new();
                GzDecoder::new(message).read_to_end(&mut decompressed).ok()?;
                Some(decompressed)
            }
            _ => None,
        }
    }
}

/// A request as it was sent and as it was understood.
pub(crate) struct Call<'a, M> {
    rpc: &'a str,
    sent: &'a SentBody,
    understood: &'a M,
    left_out: Option<u32>,
}

impl<M: Message> Call<'_, M> {
    /// Leaves the field of this number out of the digest of what was sent. The caller clears it in the decoded message.
    pub(crate) fn without_field(self, number: u32) -> Self {
        Self { left_out: Some(number), ..self }
    }

    /// The fingerprint. The order of the fields on the wire does not change it. Where what was sent cannot be read, the
    /// digest of what was understood stands for both.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        // Encoding is deterministic: fields are written in the order of their numbers, and no message of the contract
        // has a map.
        let encoded = self.understood.encode_to_vec();
        let understood = self.digest(split_fields(&encoded).unwrap_or_default());
        let sent = self.sent.message().and_then(|message| {
            // Most clients encode as this server does. Then one digest is enough.
            if message == encoded { Some(understood) } else { self.digest_of_sent(&message) }
        });
        Fingerprint::new(sent.unwrap_or(understood), understood)
    }

    fn digest_of_sent(&self, message: &[u8]) -> Option<[u8; DIGEST_LEN]> {
        let mut fields = split_fields(message)?;
        fields.retain(|field| Some(field.number) != self.left_out);
        // The sort is stable: the elements of a repeated field keep their order.
        fields.sort_by_key(|field| field.number);
        Some(self.digest(fields))
    }

    fn digest(&self, fields: Vec<Field<'_>>) -> [u8; DIGEST_LEN] {
        let mut hash = Sha256::new();
        hash.update(self.rpc.as_bytes());
        hash.update([0]);
        for field in fields {
            hash.update(field.head);
            match field.uuid() {
                Some(uuid) => hash.update(uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer())),
                None => hash.update(field.value),
            }
        }
        let mut digest = [0; DIGEST_LEN];
        digest.copy_from_slice(&hash.finalize()[..DIGEST_LEN]);
        digest
    }
}

/// A top-level field of an encoded message.
#[derive(Clone, Copy)]
struct Field<'a> {
    number: u32,
    /// Its key, and its length if it has one.
    head: &'a [u8],
    value: &'a [u8],
}

impl Field<'_> {
    /// The UUID that the field is in its hyphenated form, as every id of the contract.
    fn uuid(&self) -> Option<Uuid> {
        (self.value.len() == Hyphenated::LENGTH).then(|| Uuid::try_parse_ascii(self.value).ok()).flatten()
    }
}

/// The top-level fields of an encoded message, known to the contract or not. `None` if the message is malformed or has a
/// group, which proto3 does not have.
fn split_fields(message: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    let mut rest = message;
    while !rest.is_empty() {
        let start = rest;
        let key = varint(&mut rest)?;
        let value_len = match key & 7 {
            0 => {
                varint(&mut rest)?;
                0
            }
            1 => 8,
            2 => varint(&mut rest)?,
            5 => 4,
            _ => return None,
        };
        let head = &start[..start.len() - rest.len()];
        let (value, after) = rest.split_at_checked(value_len)?;
        rest = after;
        fields.push(Field { number: u32::try_from(key >> 3).ok()?, head, value });
    }
    Some(fields)
}

fn varint(rest: &mut &[u8]) -> Option<usize> {
    decode_length_delimiter(rest).ok()
}

/// The body of this message, in two frames as a long message comes.
#[cfg(test)]
pub(crate) fn framed(message: &[u8]) -> SentBody {
    let mut body = vec![0; FRAME_HEADER_LEN];
    body.extend_from_slice(message);
    let (front, back) = body.split_at(3);
    SentBody(Arc::new(Mutex::new(vec![Bytes::copy_from_slice(front), Bytes::copy_from_slice(back)])))
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::read::GzEncoder;

    use super::*;

    /// A request of an older version of the contract.
    #[derive(Clone, PartialEq, Message)]
    struct Older {
        #[prost(string, tag = "1")]
        request_id: String,
        #[prost(string, repeated, tag = "3")]
        seat_ids: Vec<String>,
    }

    /// The same request with the fields that a later version added.
    #[derive(Clone, PartialEq, Message)]
    struct Newer {
        #[prost(string, tag = "1")]
        request_id: String,
        #[prost(uint64, tag = "2")]
        tier: u64,
        #[prost(string, repeated, tag = "3")]
        seat_ids: Vec<String>,
        #[prost(message, optional, boxed, tag = "4")]
        companion: Option<Box<Newer>>,
    }

    fn newer(tier: u64) -> Newer {
        let companion = Newer { request_id: "c".into(), ..Newer::default() };
        Newer {
            request_id: "r".into(),
            tier,
            seat_ids: vec!["A-1".into(), "A-2".into()],
            companion: Some(Box::new(companion)),
        }
    }

    fn read_by<M: Message + Default>(message: &[u8]) -> Fingerprint {
        let understood = M::decode(message).expect("a message");
        framed(message).of("HoldSeats", &understood).fingerprint()
    }

    #[test]
    fn a_retry_on_an_instance_of_another_version_is_the_same_request() {
        let message = newer(7).encode_to_vec();
        let (older, newer) = (read_by::<Older>(&message), read_by::<Newer>(&message));
        assert_ne!(older, newer);
        assert!(older.repeats(newer.as_bytes()));
        assert!(newer.repeats(older.as_bytes()));
    }

    #[test]
    fn another_body_is_another_request_on_an_instance_of_another_version_too() {
        let (one, other) = (newer(7).encode_to_vec(), newer(8).encode_to_vec());
        assert!(!read_by::<Newer>(&one).repeats(read_by::<Newer>(&other).as_bytes()));
        assert!(!read_by::<Newer>(&one).repeats(read_by::<Older>(&other).as_bytes()));
        assert!(!read_by::<Older>(&one).repeats(read_by::<Newer>(&other).as_bytes()));
        let seats = Newer { seat_ids: vec!["A-2".into(), "A-1".into()], ..newer(7) }.encode_to_vec();
        assert!(!read_by::<Older>(&one).repeats(read_by::<Older>(&seats).as_bytes()));
    }

    #[test]
    fn the_order_of_fields_on_the_wire_does_not_matter() {
        let message = newer(7).encode_to_vec();
        let fields = split_fields(&message).expect("well-formed");
        assert_eq!(fields.iter().map(|field| field.number).collect::<Vec<_>>(), [1, 2, 3, 3, 4]);
        let reordered = [4, 2, 0, 3, 1].map(|index| [fields[index].head, fields[index].value].concat()).concat();
        assert_ne!(reordered, message);
        let of_newer = read_by::<Newer>(&message);
        assert_eq!(read_by::<Newer>(&reordered), of_newer);
        assert!(read_by::<Older>(&reordered).repeats(of_newer.as_bytes()));
    }

    #[test]
    fn a_uuid_in_capitals_is_the_same() {
        let of = |request_id: &str| {
            let message = Newer { request_id: request_id.into(), ..newer(7) }.encode_to_vec();
            (read_by::<Older>(&message), read_by::<Newer>(&message))
        };
        let id = "0192f0c1-2b3c-7d4e-8f90-a1b2c3d4e5f6";
        assert_eq!(of(&id.to_uppercase()), of(id));
        assert_ne!(of("0192f0c1-2b3c-7d4e-8f90-a1b2c3d4e5f7"), of(id));
        // Other text means something else in capitals, and so does a UUID without hyphens, which is no id.
        assert_ne!(of("R"), of("r"));
        assert_ne!(of(&id.replace('-', "").to_uppercase()), of(&id.replace('-', "")));
    }

    #[test]
    fn a_field_that_is_left_out_changes_no_digest() {
        let of = |tier: u64| {
            let understood = newer(0);
            framed(&newer(tier).encode_to_vec()).of("SignUp", &understood).without_field(2).fingerprint()
        };
        assert_eq!(of(7), of(8));
    }

    #[test]
    fn the_rpc_is_part_of_what_was_asked() {
        let (message, body) = (newer(7), framed(&newer(7).encode_to_vec()));
        let [hold, extend] = ["HoldSeats", "ExtendHold"].map(|rpc| body.of(rpc, &message).fingerprint());
        assert!(!hold.repeats(extend.as_bytes()));
    }

    #[test]
    fn what_was_understood_stands_in_for_a_body_that_cannot_be_read() {
        let message = newer(7);
        let compressed = SentBody(Arc::new(Mutex::new(vec![Bytes::from_static(&[1, 0, 0, 0, 1, 0x42])])));
        for unreadable in [SentBody::default(), compressed, framed(&[0x0B]), framed(&[0x0A, 5, 1])] {
            let call = unreadable.of("HoldSeats", &message);
            let encoded = message.encode_to_vec();
            let understood = call.digest(split_fields(&encoded).expect("well-formed"));
            assert_eq!(call.fingerprint(), Fingerprint::new(understood, understood));
        }
    }

    #[test]
    fn a_compressed_message_is_the_same_request() {
        let message = newer(7).encode_to_vec();
        let mut compressed = vec![1, 0, 0, 0, 0];
        GzEncoder::new(message.as_slice(), Compression::default()).read_to_end(&mut compressed).expect("compressed");
        let compressed = SentBody(Arc::new(Mutex::new(vec![Bytes::from(compressed)])));
        let understood = Older::decode(message.as_slice()).expect("a message");
        assert_eq!(compressed.of("HoldSeats", &understood).fingerprint(), read_by::<Older>(&message));
    }

    #[tokio::test]
    async fn the_body_is_kept_while_it_is_read() {
        let message = newer(7).encode_to_vec();
        let sent = framed(&message).0.lock().expect("nobody panicked").concat();
        let request = keep_sent_body(Request::new(Body::new(http_body_util::Full::new(Bytes::from(sent)))));
        let kept: SentBody = request.extensions().get().cloned().expect("it was noted");
        assert_eq!(kept.message(), None);
        request.into_body().collect().await.expect("no transport");
        assert_eq!(kept.message(), Some(message));
    }
}
