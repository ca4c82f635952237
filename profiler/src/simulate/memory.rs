//! Whether so many requests fit into memory: said before a run begins, where the system would else end it in the middle.

use std::fs;

use anyhow::{Result, ensure};

/// Least bytes of a request: as the workload says it (28, 16 for each of two runs of tokens, 8 for when it is sent), in the
/// scheduler (4), and its figures with the gaps between its tokens.
const FIGURES: u64 = 100;
/// The same with records of requests, and of at least as many passes.
const RECORDS: u64 = 140;

/// # Errors
/// If `num_requests` need more than is free; where the system does not say how much that is, never.
pub(crate) fn check(num_requests: u64, needs_records: bool) -> Result<()> {
    let Some(free) = fs::read_to_string("/proc/meminfo").ok().and_then(|text| available(&text)) else { return Ok(()) };
    fits(num_requests, needs_records, free)
}

fn fits(num_requests: u64, needs_records: bool, free: u64) -> Result<()> {
    let need = num_requests.saturating_mul(if needs_records { RECORDS } else { FIGURES });
    let advice = if needs_records { "; --quiet without files needs less, as it keeps figures only" } else { "" };
    ensure!(
        need <= free,
        "--num-prompts {num_requests}: so many requests take at least {} MB, and {} MB are free{advice}",
        need / 1_000_000,
        free / 1_000_000
    );
    Ok(())
}

/// Bytes that programs can have, as Linux's `/proc/meminfo` says.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_free_is_read_from_the_systems_table() {
        let table = "MemTotal:       24000000 kB\nMemFree:         7000000 kB\nMemAvailable:   21000000 kB\n";
        assert_eq!(available(table), Some(21_504_000_000), "in bytes");
        assert_eq!((available("MemFree: 1 kB"), available("MemAvailable: much")), (None, None), "not said");
    }

    #[test]
    fn too_many_requests_are_refused_with_both_numbers() {
        let told =
            |num_requests, needs_records| fits(num_requests, needs_records, 1_000_000_000).err().map(|e| e.to_string());
        assert_eq!(told(1_000_000, true), None, "140 MB of 1 GB");
        assert_eq!(told(10_000_000, false), None, "just so");
        let expect = "--num-prompts 10000000: so many requests take at least 1400 MB, and 1000 MB are free; --quiet without \
                      files needs less, as it keeps figures only";
        assert_eq!(told(10_000_000, true).as_deref(), Some(expect), "with records");
        assert!(told(10_000_001, false).is_some_and(|told| told.ends_with("1000 MB are free")), "no advice is left");
    }
}
