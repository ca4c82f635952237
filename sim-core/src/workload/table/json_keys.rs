//! The keys that a JSON text begins with: what a file is, without reading it.

use alloc::vec::Vec;

/// The keys of the object that a JSON text begins with, or of those in the list that it begins with. Read without a
/// parser, so that a damaged file is known, too. No key that matters has an escape in it.
pub(crate) fn leading_keys(bytes: &[u8]) -> Vec<&[u8]> {
    const MAX_KEYS: usize = 1000;
    let mut keys = Vec::new();
    let depth_of_keys = if bytes.trim_ascii_start().starts_with(b"[") { 2 } else { 1 };
    let (mut depth, mut at) = (0u32, 0);
    let mut last_string: &[u8] = b"";
    while let Some(&byte) = bytes.get(at).filter(|_| keys.len() < MAX_KEYS) {
        at += 1;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => break,
            b'}' | b']' => depth -= 1,
            b':' if depth == depth_of_keys => keys.push(last_string),
            b'"' => {
                let begin = at;
                while let Some(&byte) = bytes.get(at) {
                    at += 1;
                    match byte {
                        b'\\' => at += 1,
                        b'"' => break,
                        _ => {}
                    }
                }
                last_string = bytes.get(begin..at.saturating_sub(1)).unwrap_or_default();
            }
            _ => {}
        }
    }
    keys
}
