//! A batch of events as MessagePack, byte for byte as `msgspec` writes vLLM's `KVEventBatch`.
//!
//! Source: `vllm/distributed/kv_events.py`: a batch is an array, an event a map with its `type`, and what has its default
//! value is left out.

use sim_core::kv_cache::events::{BlockStored, KvCacheEvent};

/// Where the blocks are (`MEDIUM_GPU`).
const MEDIUM: &str = "GPU";
/// The only engine is the first.
const DATA_PARALLEL_RANK: u64 = 0;

/// What events say of a group of layers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    pub(super) kind: &'static str,
    pub(super) sliding_window: Option<u32>,
}

/// Bytes of a batch that is told at `time` (seconds since 1970). `token_id` says under which id others know a token.
pub(super) fn batch(time: f64, events: &[KvCacheEvent], groups: &[Group], token_id: &impl Fn(u64) -> u32) -> Vec<u8> {
    let mut out = Writer::default();
    out.array(3);
    out.bytes.push(0xcb);
    out.bytes.extend(time.to_be_bytes());
    out.array(events.len());
    for event in events {
        match event {
            KvCacheEvent::BlockStored(stored) => {
                write_stored(&mut out, stored, groups.get(stored.group as usize).copied(), token_id);
            }
            KvCacheEvent::BlockRemoved { block_hash, group } => {
                out.map(4);
                out.entry("type").text("BlockRemoved");
                out.entry("block_hashes").array(1).uint(*block_hash);
                out.entry("medium").text(MEDIUM);
                out.entry("group_idx").uint(u64::from(*group));
            }
            KvCacheEvent::AllBlocksCleared => {
                out.map(1);
                out.entry("type").text("AllBlocksCleared");
            }
        }
    }
    out.uint(DATA_PARALLEL_RANK);
    out.bytes
}

fn write_stored(out: &mut Writer, stored: &BlockStored, group: Option<Group>, token_id: &impl Fn(u64) -> u32) {
    let sliding_window = group.and_then(|group| group.sliding_window);
    let has_keys = !stored.block_hashes.is_empty();
    out.map(9 + usize::from(has_keys) + usize::from(group.is_some()) + usize::from(sliding_window.is_some()));
    out.entry("type").text("BlockStored");
    out.entry("block_hashes").array(stored.block_hashes.len());
    stored.block_hashes.iter().for_each(|hash| {
        out.uint(*hash);
    });
    out.entry("parent_block_hash");
    match stored.parent_block_hash {
        Some(hash) => out.uint(hash),
        None => out.nil(),
    };
    out.entry("token_ids").array(stored.tokens.iter().map(|run| run.len as usize).sum());
    for run in &stored.tokens {
        (run.start..run.start + u64::from(run.len)).for_each(|token| {
            out.uint(u64::from(token_id(token)));
        });
    }
    out.entry("block_size").uint(u64::from(stored.block_size));
    out.entry("lora_id").nil();
    out.entry("medium").text(MEDIUM);
    out.entry("lora_name").nil();
    if has_keys {
        out.entry("extra_keys").array(stored.block_hashes.len());
        for block in 0..stored.block_hashes.len() {
            if block == 0 && stored.cache_salt > 0 {
                out.array(1).text(&stored.cache_salt.to_string());
            } else {
                out.nil();
            }
        }
    }
    out.entry("group_idx").uint(u64::from(stored.group));
    if let Some(group) = group {
        out.entry("kv_cache_spec_kind").text(group.kind);
    }
    if let Some(window) = sliding_window {
        out.entry("kv_cache_spec_sliding_window").uint(u64::from(window));
    }
}

/// MessagePack: every number and length in as few bytes as it takes.
#[derive(Debug, Default)]
struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn uint(&mut self, number: u64) -> &mut Self {
        match number {
            0..=0x7f => self.bytes.extend(&number.to_be_bytes()[7..]),
            0x80..=0xff => self.sized(0xcc, number, 1),
            0x100..=0xffff => self.sized(0xcd, number, 2),
            0x1_0000..=0xffff_ffff => self.sized(0xce, number, 4),
            _ => self.sized(0xcf, number, 8),
        }
        self
    }

    fn nil(&mut self) -> &mut Self {
        self.bytes.push(0xc0);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.length((0xa0, 32), [Some(0xd9), Some(0xda), Some(0xdb)], text.len());
        self.bytes.extend(text.as_bytes());
        self
    }

    fn array(&mut self, len: usize) -> &mut Self {
        self.length((0x90, 16), [None, Some(0xdc), Some(0xdd)], len);
        self
    }

    fn map(&mut self, len: usize) -> &mut Self {
        self.length((0x80, 16), [None, Some(0xde), Some(0xdf)], len);
        self
    }

    /// A key of a map, whose value follows.
    fn entry(&mut self, key: &str) -> &mut Self {
        self.text(key)
    }

    /// A length below `fixed.1` is part of the first byte; others follow `marks`, in one, two or four bytes.
    fn length(&mut self, fixed: (u8, usize), marks: [Option<u8>; 3], len: usize) {
        let number = len as u64;
        match (number, marks) {
            (_, _) if len < fixed.1 => self.bytes.push(fixed.0 | number.to_be_bytes()[7]),
            (0..=0xff, [Some(mark), ..]) => self.sized(mark, number, 1),
            (0..=0xffff, [_, Some(mark), _]) => self.sized(mark, number, 2),
            (_, [.., mark]) => self.sized(mark.unwrap_or(0xdd), number, 4),
        }
    }

    fn sized(&mut self, mark: u8, number: u64, num_bytes: usize) {
        self.bytes.push(mark);
        self.bytes.extend(&number.to_be_bytes()[8 - num_bytes..]);
    }
}

#[cfg(test)]
mod tests {
    use sim_core::request::TokenRun;

    use super::*;

    /// `msgspec.msgpack.Encoder().encode` of vLLM 0.32's `KVEventBatch` with the events below.
    const WRITTEN_BY_VLLM: &str = "\
        93cb41da4afcd0100000948ba474797065ab426c6f636b53746f726564ac626c6f636b5f6861736865739205cffedcba9876\
        543210b1706172656e745f626c6f636b5f68617368c0a9746f6b656e5f69647395017fcc80cd012cce00011170aa626c6f63\
        6b5f73697a6502a76c6f72615f6964c0a66d656469756da3475055a96c6f72615f6e616d65c0aa65787472615f6b65797392\
        91a137c0a967726f75705f69647800b26b765f63616368655f737065635f6b696e64ae66756c6c5f617474656e74696f6e8b\
        a474797065ab426c6f636b53746f726564ac626c6f636b5f68617368657390b1706172656e745f626c6f636b5f68617368cc\
        c8a9746f6b656e5f696473dc00140a0b0c0d0e0f101112131415161718191a1b1c1daa626c6f636b5f73697a6510a76c6f72\
        615f6964c0a66d656469756da3475055a96c6f72615f6e616d65c0a967726f75705f69647801b26b765f63616368655f7370\
        65635f6b696e64ae736c6964696e675f77696e646f77bc6b765f63616368655f737065635f736c6964696e675f77696e646f\
        77cd040084a474797065ac426c6f636b52656d6f766564ac626c6f636b5f6861736865739105a66d656469756da3475055a9\
        67726f75705f6964780081a474797065b0416c6c426c6f636b73436c656172656400";

    #[test]
    fn a_batch_is_written_as_vllm_writes_it() {
        let groups = [
            Group { kind: "full_attention", sliding_window: None },
            Group { kind: "sliding_window", sliding_window: Some(1024) },
        ];
        let runs = |runs: &[(u64, u32)]| runs.iter().map(|&(start, len)| TokenRun { start, len }).collect();
        let events = [
            KvCacheEvent::BlockStored(BlockStored {
                block_hashes: vec![5, 0xfedc_ba98_7654_3210],
                parent_block_hash: None,
                tokens: runs(&[(1, 1), (127, 2), (300, 1), (70_000, 1)]),
                block_size: 2,
                group: 0,
                cache_salt: 7,
            }),
            KvCacheEvent::BlockStored(BlockStored {
                block_hashes: vec![],
                parent_block_hash: Some(200),
                tokens: runs(&[(10, 20)]),
                block_size: 16,
                group: 1,
                cache_salt: 0,
            }),
            KvCacheEvent::BlockRemoved { block_hash: 5, group: 0 },
            KvCacheEvent::AllBlocksCleared,
        ];
        let bytes = batch(1_764_488_000.25, &events, &groups, &|number| u32::try_from(number).expect("small"));
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, WRITTEN_BY_VLLM);
    }

    #[test]
    fn lengths_take_as_few_bytes_as_they_can() {
        let check = |write: &dyn Fn(&mut Writer, usize), len: usize, expect: &[u8]| {
            let mut out = Writer::default();
            write(&mut out, len);
            assert_eq!(out.bytes[..expect.len()], *expect, "{len}");
        };
        let text = |out: &mut Writer, len: usize| _ = out.text(&"x".repeat(len));
        let array = |out: &mut Writer, len| _ = out.array(len);
        let map = |out: &mut Writer, len| _ = out.map(len);
        let uint = |out: &mut Writer, number: usize| _ = out.uint(number as u64);
        check(&text, 31, &[0xbf, b'x']);
        check(&text, 32, &[0xd9, 32, b'x']);
        check(&text, 256, &[0xda, 1, 0, b'x']);
        check(&text, 1 << 16, &[0xdb, 0, 1, 0, 0, b'x']);
        check(&array, 15, &[0x9f]);
        check(&array, 16, &[0xdc, 0, 16]);
        check(&array, 1 << 16, &[0xdd, 0, 1, 0, 0]);
        check(&map, 16, &[0xde, 0, 16]);
        check(&uint, 127, &[0x7f]);
        check(&uint, 255, &[0xcc, 255]);
        check(&uint, 1 << 32, &[0xcf, 0, 0, 0, 1, 0, 0, 0, 0]);
    }
}
