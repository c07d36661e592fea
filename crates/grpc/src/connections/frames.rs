//! Reads the frames of HTTP/2 as they come, beside the library that handles them: what has begun and not ended, and how many
//! frames there are that carry nothing. The library tells neither.

/// What a client of HTTP/2 sends first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADER_LEN: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// Follows the bytes that a client sends.
#[derive(Debug, Default)]
pub(super) struct FrameMeter {
    state: State,
    /// The first frame, the client's settings, has been read.
    has_settings: bool,
    /// A head has begun, and the frame that ends it has not come.
    in_head: bool,
    seen: Seen,
}

#[derive(Debug, Default, Clone, Copy)]
enum State {
    /// So many bytes of the preface have been read.
    #[default]
    Start,
    Preface(usize),
    /// The first bytes are not the preface.
    Http1,
    Header {
        bytes: [u8; HEADER_LEN],
        len: usize,
    },
    Payload {
        left: usize,
        ends_head: Option<bool>,
    },
}

/// How many frames have been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Those that open a call or end one.
    pub(super) calls: u64,
    /// Those that carry nothing: pings, priorities, settings, window updates, empty data, and what nobody knows.
    pub(super) idle: u64,
}

/// What the client has begun and not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfinished {
    Handshake,
    Frame,
    Nothing,
}

impl FrameMeter {
    pub(super) fn unfinished(&self) -> Unfinished {
        match self.state {
            State::Http1 => Unfinished::Nothing,
            State::Start | State::Preface(_) => Unfinished::Handshake,
            State::Header { .. } | State::Payload { .. } if !self.has_settings => Unfinished::Handshake,
            State::Header { len: 0, .. } if !self.in_head => Unfinished::Nothing,
            State::Header { .. } | State::Payload { .. } => Unfinished::Frame,
        }
    }

    /// Whether a head has begun that has not ended.
    pub(super) fn is_in_head(&self) -> bool {
        self.in_head
    }

    pub(super) fn seen(&self) -> Seen {
        self.seen
    }

    /// Follows these bytes. Returns whether a frame has ended in them.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> bool {
        let mut has_ended = false;
        while !bytes.is_empty() {
            match &mut self.state {
                State::Http1 => return false,
                State::Start => self.state = State::Preface(0),
                State::Preface(read) => {
                    let rest = &PREFACE[*read..];
                    let len = rest.len().min(bytes.len());
                    if bytes[..len] != rest[..len] {
                        self.state = State::Http1;
                        return false;
                    }
                    *read += len;
                    bytes = &bytes[len..];
                    if *read == PREFACE.len() {
                        self.state = State::Header { bytes: [0; HEADER_LEN], len: 0 };
                    }
                }
                State::Header { bytes: header, len } => {
                    let more = (HEADER_LEN - *len).min(bytes.len());
                    header[*len..*len + more].copy_from_slice(&bytes[..more]);
                    *len += more;
                    bytes = &bytes[more..];
                    if *len == HEADER_LEN {
                        let header = *header;
                        has_ended |= self.begin(header);
                    }
                }
                State::Payload { left, ends_head } => {
                    let len = (*left).min(bytes.len());
                    *left -= len;
                    bytes = &bytes[len..];
                    if *left == 0 {
                        let ends_head = *ends_head;
                        self.end(ends_head);
                        has_ended = true;
                    }
                }
            }
        }
        has_ended
    }

    /// Begins a frame. Returns whether it has ended, because it has no payload.
    fn begin(&mut self, header: [u8; HEADER_LEN]) -> bool {
        let [a, b, c, kind, flags, ..] = header;
        let left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        let is_idle = match kind {
            HEADERS | RST_STREAM => false,
            DATA => left == 0 && flags & END_STREAM == 0,
            _ => true,
        };
        self.seen.calls += u64::from(!is_idle && kind != DATA);
        self.seen.idle += u64::from(is_idle);
        self.has_settings |= kind == SETTINGS;
        let ends_head = matches!(kind, HEADERS | CONTINUATION).then_some(flags & END_HEADERS != 0);
        if left == 0 {
            self.end(ends_head);
            return true;
        }
        self.state = State::Payload { left, ends_head };
        false
    }

    fn end(&mut self, ends_head: Option<bool>) {
        if let Some(ends_head) = ends_head {
            self.in_head = !ends_head;
        }
        self.state = State::Header { bytes: [0; HEADER_LEN], len: 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: u8 = 6;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).expect("short").to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        frame.resize(frame.len() + payload, 0);
        frame
    }

    /// A meter that has read this, byte by byte: where the bytes are cut must not matter.
    fn after(parts: &[&[u8]]) -> FrameMeter {
        let mut meter = FrameMeter::default();
        for byte in parts.concat() {
            meter.read(&[byte]);
        }
        let mut at_once = FrameMeter::default();
        at_once.read(&parts.concat());
        assert_eq!((at_once.seen(), at_once.unfinished()), (meter.seen(), meter.unfinished()));
        meter
    }

    #[test]
    fn a_connection_begins_with_the_preface_and_the_settings() {
        let settings = frame(SETTINGS, 0, 6);
        assert_eq!(FrameMeter::default().unfinished(), Unfinished::Handshake);
        assert_eq!(after(&[&PREFACE[..10]]).unfinished(), Unfinished::Handshake);
        assert_eq!(after(&[PREFACE]).unfinished(), Unfinished::Handshake);
        assert_eq!(after(&[PREFACE, &settings]).unfinished(), Unfinished::Nothing);
        assert_eq!(after(&[b"POST / HTTP/1.1\r\n"]).unfinished(), Unfinished::Nothing, "another protocol");
    }

    #[test]
    fn a_head_ends_with_the_flag_that_says_so() {
        let begun = [PREFACE, &frame(SETTINGS, 0, 0), &frame(HEADERS, 0, 30)].concat();
        assert_eq!(after(&[&begun]).unfinished(), Unfinished::Frame);
        assert_eq!(after(&[&begun, &frame(CONTINUATION, 0, 3)]).unfinished(), Unfinished::Frame);
        assert_eq!(after(&[&begun, &frame(CONTINUATION, END_HEADERS, 3)]).unfinished(), Unfinished::Nothing);
        let part = &frame(DATA, 0, 100)[..50];
        assert_eq!(after(&[PREFACE, &frame(SETTINGS, 0, 0), part]).unfinished(), Unfinished::Frame);
    }

    #[test]
    fn frames_that_carry_nothing_are_counted_apart_from_calls() {
        let frames = [
            frame(SETTINGS, 0, 6),
            frame(HEADERS, END_HEADERS, 40),
            frame(DATA, 0, 100),
            frame(DATA, END_STREAM, 0),
            frame(RST_STREAM, 0, 4),
            frame(PING, 0, 8),
            frame(2, 0, 5),
            frame(8, 0, 4),
            frame(DATA, 0, 0),
            frame(77, 0, 1),
        ];
        assert_eq!(after(&[PREFACE, &frames.concat()]).seen(), Seen { calls: 2, idle: 6 });
    }
}
