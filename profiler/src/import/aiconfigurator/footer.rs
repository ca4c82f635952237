//! A parquet file's footer and page headers, walked before they are read, for what they say of lengths (parquet-format,
//! `parquet.thrift`).

use anyhow::{Context as _, Result, ensure};

use super::thrift::Bytes;
use super::thrift::Shape::{self, Binary, List, Number, Struct};

/// Longest footer; those of aiconfigurator-core 0.12.0 have 4 KB.
const MAX_BYTES: usize = 256 << 10;
/// Deepest struct in a struct.
const MAX_DEPTH: u32 = 16;

const ANY_STRUCT: Shape = Struct(&[]);
const KEY_VALUES: Shape = List(&Struct(&[Binary, Binary]));
const SCHEMA_ELEMENT: Shape =
    Struct(&[Number, Number, Number, Binary, Number, Number, Number, Number, Number, ANY_STRUCT]);
const COLUMN_META_DATA: Shape = Struct(&[
    Number,
    List(&Number),
    List(&Binary),
    Number,
    Number,
    Number,
    Number,
    KEY_VALUES,
    Number,
    Number,
    Number,
    ANY_STRUCT,
    List(&Struct(&[Number, Number, Number])),
    Number,
    Number,
    Struct(&[Number, List(&Number), List(&Number)]),
]);
const COLUMN_CHUNK: Shape =
    Struct(&[Binary, Number, COLUMN_META_DATA, Number, Number, Number, Number, ANY_STRUCT, Binary]);
const ROW_GROUP: Shape = Struct(&[List(&COLUMN_CHUNK), Number, Number, List(&ANY_STRUCT), Number, Number, Number]);
const FILE_META_DATA: &[Shape] = &[
    Number,
    List(&SCHEMA_ELEMENT),
    Number,
    List(&ROW_GROUP),
    KEY_VALUES,
    Binary,
    List(&ANY_STRUCT),
    ANY_STRUCT,
    Binary,
];

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
    Bytes(&rest[start..]).skip_struct(FILE_META_DATA, MAX_DEPTH).context(broken)
}

/// Refuses pages, the bytes of one column's chunk, that say they unpack to more than `max_bytes` or hold more than
/// `max_values`.
///
/// # Errors
/// If so, or if they are no pages.
pub(super) fn check_pages(chunk: &[u8], max_bytes: u64, max_values: u64) -> Result<()> {
    let mut bytes = Bytes(chunk);
    while !bytes.0.is_empty() {
        let page = page(&mut bytes).context("has a page with a broken header")?;
        let Page { num_bytes, num_values, is_dictionary } = page;
        ensure!(num_bytes <= max_bytes, "has a page of {num_bytes} bytes; the limit is {max_bytes}");
        // An entry of a dictionary takes a byte at least; equal values one after another hardly any.
        let most = if is_dictionary { num_bytes } else { max_values };
        ensure!(num_values <= most, "has a page of {num_values} values; there can be {most}");
    }
    Ok(())
}

/// What a page says of itself.
#[derive(Debug, Default)]
struct Page {
    /// Unpacked.
    num_bytes: u64,
    num_values: u64,
    is_dictionary: bool,
}

/// A page's header; the page is skipped.
fn page(bytes: &mut Bytes<'_>) -> Option<Page> {
    let (mut page, mut packed, mut number) = (Page::default(), 0, 0);
    while let Some(kind) = bytes.field(&mut number)? {
        match (number, kind) {
            (2, 4..=6) => page.num_bytes = bytes.natural()?,
            (3, 4..=6) => packed = bytes.natural()?,
            // The headers of a data page, of a dictionary, of a data page of version 2.
            (5 | 7 | 8, 12) => {
                page.is_dictionary = number == 7;
                page.num_values = page.num_values.max(first_number(bytes)?);
            }
            (2 | 3 | 5 | 7 | 8, _) => return None,
            (_, 1 | 2) => {}
            _ => bytes.skip_value(kind, None, MAX_DEPTH)?,
        }
    }
    bytes.skip(packed)?;
    Some(page)
}

/// The first field of a struct, the number of values in all of a page's headers.
fn first_number(bytes: &mut Bytes<'_>) -> Option<u64> {
    let (mut value, mut number) = (0, 0);
    while let Some(kind) = bytes.field(&mut number)? {
        match (number, kind) {
            (1, 4..=6) => value = bytes.natural()?,
            (1, _) => return None,
            (_, 1 | 2) => {}
            _ => bytes.skip_value(kind, None, MAX_DEPTH)?,
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::check;
    use super::check_pages;

    #[track_caller]
    fn is_accepted(footer: &[u8], expect: bool) {
        let length = u32::try_from(footer.len()).expect("short").to_le_bytes();
        let file = [b"PAR1", footer, &length, b"PAR1"].concat();
        assert_eq!(check(&file).is_ok(), expect, "{footer:?}");
    }

    #[track_caller]
    fn pages_are_accepted(chunk: &[u8], expect: bool) {
        assert_eq!(check_pages(chunk, 100, 1000).is_ok(), expect, "{chunk:?}");
    }

    #[test]
    fn pages_that_claim_too_much_are_refused() {
        // Type 0, 4 bytes unpacked and 2 packed, a data page of 3 values; the page.
        let data = |unpacked: u8, values: [u8; 2]| {
            [&[0x15, 0, 0x15, unpacked, 0x15, 4, 0x2c, 0x15][..], &values, &[0, 0, 7, 7]].concat()
        };
        // 1000 values are 2000 without a sign, 0xd0 0x0f; 1001 are too many.
        pages_are_accepted(&data(8, [0x86, 0]), true);
        pages_are_accepted(&data(8, [0xd0, 0x0f]), true);
        pages_are_accepted(&data(8, [0xd2, 0x0f]), false);
        pages_are_accepted(&[data(8, [0x86, 0]), data(0x7e, [0x86, 0])].concat(), true);
        // A negative number of bytes, and a page that is cut off.
        pages_are_accepted(&data(9, [0x86, 0]), false);
        pages_are_accepted(&data(8, [0x86, 0])[..13], false);
        pages_are_accepted(&[], true);
        // A dictionary of 5 entries in 4 bytes, and of 4.
        let dictionary = |values: u8| [0x15, 4, 0x15, 8, 0x15, 4, 0x4c, 0x15, values, 0, 0, 7, 7];
        pages_are_accepted(&dictionary(10), false);
        pages_are_accepted(&dictionary(8), true);
    }

    #[test]
    fn a_length_beyond_the_end_is_refused() {
        is_accepted(&[0], true);
        // A list of three numbers; of fifteen and more; and of more than there are.
        is_accepted(&[0xa9, 0x35, 1, 2, 3, 0], true);
        is_accepted(&[0xa9, 0xf5, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3, 0], false);
        is_accepted(&[0xa9, 0x45, 1, 2, 3], false);
        is_accepted(&[0x68, 3, b'a', b'b', b'c', 0], true);
        is_accepted(&[0x68, 9, b'a', b'b', b'c', 0], false);
        is_accepted(&[0x8c; 100], false);
        is_accepted(&[], false);
        // The first field is a number, the second a list of structs: not a list, and not of numbers.
        is_accepted(&[0x15, 2, 0x19, 0x1c, 0, 0], true);
        is_accepted(&[0x19, 0x05, 0], false);
        is_accepted(&[0x15, 2, 0x15, 2, 0], false);
        // A text in field 9, said in full; in field 65,538, which is field 2 to who keeps 16 bits; and in field -2.
        is_accepted(&[0x08, 18, 1, b'a', 0], true);
        is_accepted(&[0x08, 0x84, 0x80, 0x08, 1, b'a', 0], false);
        is_accepted(&[0x08, 3, 1, b'a', 0], false);
        is_accepted(&[0x15, 2, 0x19, 0x15, 2, 0], false);
    }
}
