//! Tables with flipped bytes are read or refused, never the program's end.

use std::fs;
use std::path::Path;

/// Numbers that look random; the same on every run (xorshift).
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn a_damaged_table_is_read_or_refused() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/seeds/import_parquet");
    let mut state = 0x9e37_79b9_7f4a_7c15;
    let (mut num_read, mut num_refused) = (0, 0);
    for entry in fs::read_dir(seeds).expect("the seeds") {
        let good = fs::read(entry.expect("a seed").path()).expect("a seed");
        assert_eq!(profiler::parsers::parquet_table(&good), Some(3));
        for _ in 0..20_000 {
            let mut bytes = good.clone();
            for _ in 0..=next(&mut state) % 4 {
                let at = usize::try_from(next(&mut state)).expect("64 bits") % bytes.len();
                bytes[at] = u8::try_from(next(&mut state) & 0xff).expect("a byte");
            }
            if next(&mut state).is_multiple_of(8) {
                bytes.truncate(usize::try_from(next(&mut state)).expect("64 bits") % bytes.len());
            }
            match profiler::parsers::parquet_table(&bytes) {
                Some(_) => num_read += 1,
                None => num_refused += 1,
            }
        }
    }
    assert!(num_read > 100 && num_refused > 100, "{num_read} read, {num_refused} refused: no test of both");
}
