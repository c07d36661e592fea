//! HTTP/2 as bytes (RFC 9113), for what no client library sends.

use tokio::io::{AsyncRead, AsyncReadExt};

/// What a client sends first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The kind of a frame with a part of a body.
pub const DATA: u8 = 0;
/// The kind of a frame with a head.
pub const HEADERS: u8 = 1;
/// The kind of a frame that ends a call.
pub const RST_STREAM: u8 = 3;
/// The kind of a frame with settings.
pub const SETTINGS: u8 = 4;
/// The kind of a frame that asks whether the other side is there.
pub const PING: u8 = 6;
/// The kind of a frame that ends the connection.
pub const GOAWAY: u8 = 7;
/// A frame that lets the other side send more.
pub const WINDOW_UPDATE: u8 = 8;

/// The flag of the last frame of a body.
pub const END_STREAM: u8 = 0x1;
/// The flag of the last frame of a head.
pub const END_HEADERS: u8 = 0x4;
/// The flag of a reply to settings or to a ping.
pub const ACK: u8 = 0x1;

/// The message of an RPC whose request has no fields set.
pub const EMPTY_MESSAGE: &[u8] = &[0, 0, 0, 0, 0];

/// A frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The beginning of a connection whose client lets each reply have so many bytes ahead.
pub fn beginning(window: u32) -> Vec<u8> {
    const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];
    let setting = [&INITIAL_WINDOW_SIZE[..], &window.to_be_bytes()].concat();
    [PREFACE.to_vec(), frame(SETTINGS, 0, 0, &setting)].concat()
}

/// The head of a call of gRPC, with more fields. Their names and values are short.
pub fn head(rpc: &str, more: &[(&str, &str)]) -> Vec<u8> {
    const METHOD_POST: u8 = 0x83;
    const SCHEME_HTTP: u8 = 0x86;
    /// A field that is not put into the table, and whose name is not in it (RFC 7541, section 6.2.2).
    const LITERAL: u8 = 0x00;
    let mut head = vec![METHOD_POST, SCHEME_HTTP];
    let path = format!("/{rpc}");
    let fields = [(":path", path.as_str()), (":authority", "encore"), ("content-type", "application/grpc")];
    for (name, value) in fields.iter().chain(more) {
        head.push(LITERAL);
        for text in [name, value] {
            head.push(u8::try_from(text.len()).ok().filter(|len| *len < 0x7F).expect("a short text"));
            head.extend(text.as_bytes());
        }
    }
    head
}

/// A frame that the server sent.
#[derive(Debug)]
pub struct Received {
    /// What it is.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// The call that it belongs to.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// The next frame; none if the server has closed the connection.
pub async fn next_frame(connection: &mut (impl AsyncRead + Unpin)) -> Option<Received> {
    let mut header = [0; 9];
    connection.read_exact(&mut header).await.ok()?;
    let [a, b, c, kind, flags, stream @ ..] = header;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    connection.read_exact(&mut payload).await.ok()?;
    Some(Received { kind, flags, stream: u32::from_be_bytes(stream), payload })
}
