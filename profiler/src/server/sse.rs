//! Server-sent events as `/v1/completions` streams them, taken apart as they arrive.

use serde::Deserialize;

/// Longest event that is taken: a server that sends no end of one must not fill the memory.
const MAX_EVENT_BYTES: usize = 1 << 20;

/// What one event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// Tokens: that many the request has now, if the server says so.
    Tokens(Option<u32>),
    /// The server gave up on the request.
    Error(String),
    /// Nothing more comes.
    Done,
}

/// The beginning of an event that has not come to its end.
#[derive(Debug, Default)]
pub(crate) struct EventReader {
    rest: Vec<u8>,
}

#[derive(Debug, Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<serde::de::IgnoredAny>,
    usage: Option<Usage>,
    error: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct Usage {
    completion_tokens: Option<u32>,
}

impl EventReader {
    /// Calls `see` with every event that `bytes` bring to its end.
    ///
    /// # Errors
    /// If an event is too long or no JSON; the message says which.
    pub(crate) fn read(&mut self, bytes: &[u8], mut see: impl FnMut(Event)) -> Result<(), String> {
        self.rest.extend_from_slice(bytes);
        let mut begin = 0;
        while let Some(length) = self.rest[begin..].iter().position(|&byte| byte == b'\n') {
            let line = self.rest[begin..begin + length].trim_ascii();
            begin += length + 1;
            // A comment or an empty line otherwise.
            if let Some(data) = line.strip_prefix(b"data:")
                && let Some(event) = event(data.trim_ascii())?
            {
                see(event);
            }
        }
        self.rest.drain(..begin);
        if self.rest.len() > MAX_EVENT_BYTES {
            return Err(format!("an event of more than {MAX_EVENT_BYTES} bytes"));
        }
        Ok(())
    }
}

fn event(data: &[u8]) -> Result<Option<Event>, String> {
    if data == b"[DONE]" {
        return Ok(Some(Event::Done));
    }
    let chunk: Chunk = serde_json::from_slice(data).map_err(|error| format!("an event that is no JSON: {error}"))?;
    if let Some(error) = chunk.error {
        return Ok(Some(Event::Error(error.to_string())));
    }
    // The last chunk counts tokens and brings none.
    Ok((!chunk.choices.is_empty()).then(|| Event::Tokens(chunk.usage.and_then(|usage| usage.completion_tokens))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pieces: &[&str], expected: &[Event]) {
        let (mut reader, mut events) = (EventReader::default(), vec![]);
        for piece in pieces {
            reader.read(piece.as_bytes(), |event| events.push(event)).expect("well-formed");
        }
        assert_eq!(events, expected, "{pieces:?}");
    }

    #[test]
    fn events_are_found_wherever_the_pieces_are_cut() {
        let token = r#"data: {"choices":[{"text":"t5"}],"usage":{"completion_tokens":2}}"#;
        let text =
            format!("{token}\r\n\r\n: ping\n\n{token}\n\ndata: {{\"choices\":[],\"usage\":null}}\n\ndata: [DONE]\n\n");
        let expected = [Event::Tokens(Some(2)), Event::Tokens(Some(2)), Event::Done];
        check(&[&text], &expected);
        let bytes: Vec<String> = text.chars().map(String::from).collect();
        check(&bytes.iter().map(String::as_str).collect::<Vec<_>>(), &expected);
    }

    #[test]
    fn chunks_without_counts_are_tokens_and_errors_are_told() {
        check(&["data: {\"choices\":[{}]}\n"], &[Event::Tokens(None)]);
        check(&["data: {\"error\":{\"code\":500}}\n"], &[Event::Error(r#"{"code":500}"#.to_owned())]);
    }

    #[test]
    fn what_is_no_event_stream_is_refused() {
        let read = |bytes: &[u8]| EventReader::default().read(bytes, |_| ());
        assert!(read(b"data: {oops\n").is_err(), "no JSON");
        assert!(read(&vec![b'x'; MAX_EVENT_BYTES + 1]).is_err(), "no end");
    }
}
