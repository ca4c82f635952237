//! A parquet file's footer, walked before it is read: the parquet crate (57.3.2) reserves memory for as many entries as
//! a list says it has, which may be more than there are bytes.
//!
//! The footer is a struct in Thrift's compact protocol; only the lengths matter here.

use anyhow::{Context as _, Result, ensure};

/// Longest footer; those of aiconfigurator-core 0.12.0 have 4 KB.
const MAX_BYTES: usize = 256 << 10;
/// Deepest struct in a struct.
const MAX_DEPTH: u32 = 16;

/// What is left of the footer.
struct Bytes<'a>(&'a [u8]);

/// Refuses a file whose footer says that it holds more than it does.
///
/// # Errors
/// If there is no footer, it is too long, or a length in it is beyond its end.
pub(super) fn check(file: &[u8]) -> Result<()> {
    let broken = "is no parquet file: its footer is broken";
    let (rest, end) = file.split_last_chunk::<8>().context(broken)?;
    let [a, b, c, d, b'P', b'A', b'R', b'1'] = *end else {
        anyhow::bail!("is no parquet file");
    };
    let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).context(broken)?;
    ensure!(length <= MAX_BYTES, "has a footer of {length} bytes; the limit is {MAX_BYTES}");
    let start = rest.len().checked_sub(length).context(broken)?;
    Bytes(&rest[start..]).skip_struct(MAX_DEPTH).context(broken)
}

impl Bytes<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn skip(&mut self, length: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(length).ok()?..)?;
        Some(())
    }

    /// A whole number, seven bits to a byte.
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn skip_struct(&mut self, depth: u32) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        loop {
            let header = self.byte()?;
            if header == 0 {
                return Some(());
            }
            if header >> 4 == 0 {
                self.varint()?;
            }
            // A boolean field is its header.
            if !matches!(header & 0x0f, 1 | 2) {
                self.skip_value(header & 0x0f, depth)?;
            }
        }
    }

    fn skip_value(&mut self, kind: u8, depth: u32) -> Option<()> {
        match kind {
            1..=3 => self.skip(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.skip(8),
            8 => {
                let length = self.varint()?;
                self.skip(length)
            }
            9 | 10 => {
                let header = self.byte()?;
                let length = if header >> 4 == 15 { self.varint()? } else { u64::from(header >> 4) };
                // Each takes a byte at least.
                let left = u64::try_from(self.0.len()).ok()?;
                let depth = depth.checked_sub(1).filter(|_| length <= left)?;
                (0..length).try_for_each(|_| self.skip_value(header & 0x0f, depth))
            }
            12 => self.skip_struct(depth),
            // Parquet's footer has no maps.
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[track_caller]
    fn is_accepted(footer: &[u8], expect: bool) {
        let length = u32::try_from(footer.len()).expect("short").to_le_bytes();
        let file = [b"PAR1", footer, &length, b"PAR1"].concat();
        assert_eq!(check(&file).is_ok(), expect, "{footer:?}");
    }

    #[test]
    fn a_length_beyond_the_end_is_refused() {
        is_accepted(&[0], true);
        // A list of three numbers; of fifteen and more; and of more than there are.
        is_accepted(&[0x19, 0x35, 1, 2, 3, 0], true);
        is_accepted(&[0x19, 0xf5, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3, 0], false);
        is_accepted(&[0x19, 0x45, 1, 2, 3], false);
        is_accepted(&[0x18, 3, b'a', b'b', b'c', 0], true);
        is_accepted(&[0x18, 9, b'a', b'b', b'c', 0], false);
        is_accepted(&[0x1c; 100], false);
        is_accepted(&[], false);
    }
}
