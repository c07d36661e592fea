//! HTTP/2 as bytes (RFC 9113), for what no client library sends.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpSocket, TcpStream};

/// The address of this machine that attacks come from: the neighbour has another, as a stranger would.
const ATTACKER: [u8; 4] = [127, 0, 0, 2];

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;

/// A connection to the server. Where the machine has one address only, it comes from that.
pub(super) async fn connect(address: &str) -> io::Result<TcpStream> {
    let server: SocketAddr = address.parse().map_err(io::Error::other)?;
    let socket = TcpSocket::new_v4()?;
    let _ = socket.bind(SocketAddr::from((ATTACKER, 0)));
    socket.connect(server).await
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[a, b, c, kind, flags], &stream.to_be_bytes()[..], payload].concat()
}

/// The beginning of a connection whose client lets each reply have so many bytes ahead.
pub(super) fn beginning(window: u32) -> Vec<u8> {
    const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];
    let setting = [&INITIAL_WINDOW_SIZE[..], &window.to_be_bytes()].concat();
    [PREFACE, &frame(SETTINGS, 0, 0, &setting)].concat()
}

/// The head of a call of gRPC, which puts nothing into the table of the connection.
pub(super) fn head(rpc: &str) -> Vec<u8> {
    let path = format!("/{rpc}");
    let mut head = vec![0x83, 0x86];
    for (name, value) in [(":path", path.as_str()), (":authority", "encore"), ("content-type", "application/grpc")] {
        head.push(0x00);
        text(&mut head, name);
        text(&mut head, value);
    }
    head
}

/// A text of HPACK without Huffman coding (RFC 7541, section 5.2).
pub(super) fn text(head: &mut Vec<u8>, text: &str) {
    const SHORT_MAX: usize = 0x7F;
    if let Some(len) = u8::try_from(text.len()).ok().filter(|len| usize::from(*len) < SHORT_MAX) {
        head.push(len);
    } else {
        head.push(0x7F);
        let mut rest = text.len().saturating_sub(SHORT_MAX);
        while rest >= 0x80 {
            head.push(u8::try_from(rest & 0x7F).unwrap_or_default() | 0x80);
            rest >>= 7;
        }
        head.push(u8::try_from(rest).unwrap_or_default());
    }
    head.extend(text.as_bytes());
}

/// An encoded message, as it is in the body of a call.
pub(super) fn message(encoded: &[u8]) -> Vec<u8> {
    [&[0][..], &u32::try_from(encoded.len()).unwrap_or(u32::MAX).to_be_bytes(), encoded].concat()
}
