//! ZMTP 3.0, ZeroMQ's protocol between sockets, without security: as much as a publisher and its replays need.
//!
//! Source: RFC 23/ZMTP (`rfc.zeromq.org`), and RFC 37 for the commands that libzmq sends of 3.1. What a peer sends is
//! small here, subscriptions and numbers, so a frame has a limit, and nothing is set aside for one before it has come.

/// Most bytes of a peer's frame.
const MAX_FRAME: usize = 4096;
/// Bytes of a greeting.
const GREETING_LEN: usize = 64;
/// Places in it.
const MAJOR: usize = 10;
const MECHANISM: std::ops::Range<usize> = 12..32;

const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

/// What a peer says after its greeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// A command, by its name.
    Command { name: Vec<u8>, data: Vec<u8> },
    /// A part of a message, and whether more follow.
    Part { body: Vec<u8>, has_more: bool },
}

/// Why a peer is not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ZmtpError {
    /// It does not speak this protocol, or not without security.
    Greeting,
    /// Reserved bits are set, or a command is part of a message or has no name.
    Frame,
    /// More than [`MAX_FRAME`] bytes.
    TooLong,
}

/// What a peer has sent, taken apart as it comes.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    bytes: Vec<u8>,
    has_greeted: bool,
}

impl Decoder {
    /// Takes some bytes. All frames that are complete should be taken before the next.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether the peer's greeting has come, and is one.
    pub(super) fn greeting(&mut self) -> Result<bool, ZmtpError> {
        if self.has_greeted {
            return Ok(true);
        }
        let Some(greeting) = self.bytes.get(..GREETING_LEN) else {
            // Whoever speaks something else may wait for an answer.
            return if self.bytes.first().is_none_or(|byte| *byte == 0xff) {
                Ok(false)
            } else {
                Err(ZmtpError::Greeting)
            };
        };
        let mechanism = &greeting[MECHANISM];
        let is_plain = mechanism.starts_with(b"NULL") && mechanism[4..].iter().all(|byte| *byte == 0);
        if greeting[0] != 0xff || greeting[9] != 0x7f || greeting[MAJOR] < 3 || !is_plain {
            return Err(ZmtpError::Greeting);
        }
        self.bytes.drain(..GREETING_LEN);
        self.has_greeted = true;
        Ok(true)
    }

    /// The next frame, if it is complete.
    pub(super) fn frame(&mut self) -> Result<Option<Frame>, ZmtpError> {
        if !self.greeting()? {
            return Ok(None);
        }
        let Some(&flags) = self.bytes.first() else { return Ok(None) };
        if flags & !(MORE | LONG | COMMAND) != 0 || flags & (MORE | COMMAND) == MORE | COMMAND {
            return Err(ZmtpError::Frame);
        }
        let head = if flags & LONG == 0 { 2 } else { 9 };
        let Some(size) = self.bytes.get(1..head) else { return Ok(None) };
        let size = size.iter().fold(0_u64, |size, byte| size << 8 | u64::from(*byte));
        let size = usize::try_from(size).ok().filter(|size| *size <= MAX_FRAME).ok_or(ZmtpError::TooLong)?;
        let Some(body) = self.bytes.get(head..head + size) else { return Ok(None) };
        let frame = if flags & COMMAND == 0 {
            Frame::Part { body: body.to_vec(), has_more: flags & MORE != 0 }
        } else {
            let (&len, rest) = body.split_first().ok_or(ZmtpError::Frame)?;
            let (name, data) = rest.split_at_checked(usize::from(len)).ok_or(ZmtpError::Frame)?;
            Frame::Command { name: name.to_vec(), data: data.to_vec() }
        };
        self.bytes.drain(..head + size);
        Ok(Some(frame))
    }
}

/// What is sent first: version 3.0, no security, and the type of this socket.
pub(super) fn opening(socket_type: &str) -> Vec<u8> {
    let mut bytes = vec![0; GREETING_LEN];
    (bytes[0], bytes[9], bytes[MAJOR]) = (0xff, 0x7f, 3);
    bytes[MECHANISM][..4].copy_from_slice(b"NULL");
    let mut data = Vec::new();
    // Properties: name and value, each behind its length.
    data.push(11);
    data.extend(b"Socket-Type");
    data.extend([0, 0, 0]);
    data.extend(&(socket_type.len() as u64).to_be_bytes()[7..]);
    data.extend(socket_type.as_bytes());
    write_command(&mut bytes, "READY", &data);
    bytes
}

/// Appends a command of at most 255 bytes.
pub(super) fn write_command(out: &mut Vec<u8>, name: &str, data: &[u8]) {
    let len = |len: usize| (len as u64).to_be_bytes()[7];
    out.extend([COMMAND, len(1 + name.len() + data.len()), len(name.len())]);
    out.extend(name.as_bytes());
    out.extend(data);
}

/// Appends a message of several parts.
pub(super) fn write_message(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for (place, part) in parts.iter().enumerate() {
        let more = if place + 1 < parts.len() { MORE } else { 0 };
        let size = (part.len() as u64).to_be_bytes();
        if part.len() < 256 {
            out.extend([more, size[7]]);
        } else {
            out.push(more | LONG);
            out.extend(size);
        }
        out.extend_from_slice(part);
    }
}

/// The value of a property of `READY`, whose name is compared without regard to case.
pub(super) fn property<'a>(mut data: &'a [u8], wanted: &str) -> Option<&'a [u8]> {
    while let Some((&len, rest)) = data.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(len))?;
        let (size, rest) = rest.split_at_checked(4)?;
        let size = size.iter().fold(0_usize, |size, byte| size << 8 | usize::from(*byte));
        let (value, rest) = rest.split_at_checked(size)?;
        if name.eq_ignore_ascii_case(wanted.as_bytes()) {
            return Some(value);
        }
        data = rest;
    }
    None
}

/// All frames of `bytes`; whether there are the same ones if they come one by one. `None` if they are not understood.
pub(super) fn read_alone(bytes: &[u8]) -> Option<bool> {
    let whole = frames(&[bytes]).ok()?;
    let pieces: Vec<&[u8]> = bytes.chunks(1).collect();
    Some(frames(&pieces) == Ok(whole))
}

fn frames(pieces: &[&[u8]]) -> Result<Vec<Frame>, ZmtpError> {
    let (mut decoder, mut frames) = (Decoder::default(), Vec::new());
    for piece in pieces {
        decoder.feed(piece);
        while let Some(frame) = decoder.frame()? {
            if let Frame::Command { data, .. } = &frame {
                property(data, "Socket-Type");
            }
            frames.push(frame);
        }
    }
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(body: &[u8], has_more: bool) -> Frame {
        Frame::Part { body: body.to_vec(), has_more }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let long = vec![7; 300];
        let mut bytes = opening("PUB");
        write_message(&mut bytes, &[b"topic", b"", &long]);
        let ready = frames(&[&bytes]).expect("understood");
        let Some(Frame::Command { name, data }) = ready.first() else { panic!("{ready:?}") };
        assert_eq!((name.as_slice(), property(data, "socket-type")), (&b"READY"[..], Some(&b"PUB"[..])));
        assert_eq!(ready[1..], [part(b"topic", true), part(b"", true), part(&long, false)]);
        assert_eq!(read_alone(&bytes), Some(true));
    }

    #[test]
    fn what_is_no_peer_is_refused_before_it_costs_anything() {
        let check = |change: &dyn Fn(&mut Vec<u8>), expect: ZmtpError| {
            let mut bytes = opening("SUB");
            change(&mut bytes);
            assert_eq!(frames(&[&bytes]), Err(expect));
        };
        check(&|bytes| bytes[0] = b'G', ZmtpError::Greeting);
        check(&|bytes| bytes[MAJOR] = 2, ZmtpError::Greeting);
        check(&|bytes| bytes[12..17].copy_from_slice(b"CURVE"), ZmtpError::Greeting);
        check(&|bytes| bytes.extend([0x80, 0]), ZmtpError::Frame);
        check(&|bytes| bytes.extend([MORE | COMMAND, 0]), ZmtpError::Frame);
        check(&|bytes| bytes.extend([COMMAND, 0]), ZmtpError::Frame);
        check(&|bytes| bytes.extend([COMMAND, 2, 9, b'x']), ZmtpError::Frame);
        check(&|bytes| bytes.extend([LONG, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), ZmtpError::TooLong);
        assert_eq!(frames(&[b"GET / HTTP/1.1\r\n"]), Err(ZmtpError::Greeting));
        assert_eq!(frames(&[&[0xff]]), Ok(vec![]), "more may come");
    }
}
