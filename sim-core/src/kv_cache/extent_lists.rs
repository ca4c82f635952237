//! In which lists an extent is: of its chain, and of the free ones.

use alloc::vec::Vec;

use super::block_keys::BlockKeys;
use crate::math;

/// Number of an extent.
pub(super) type ExtentId = u32;

/// No extent.
pub(super) const NO_EXTENT: ExtentId = u32::MAX;

/// Blocks at the positions `from..to` of a chain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub(super) chain: u32,
    pub(super) from: u32,
    pub(super) to: u32,
    /// Requests that use it; all use all of it.
    pub(super) ref_cnt: u32,
    /// Which registration of the chain it is from: of blocks with the same content the one with the smallest is found.
    pub(super) number: u64,
    /// Its neighbours in the chain.
    lower: ExtentId,
    pub(super) upper: ExtentId,
    /// Its neighbours in the free queue, while nobody uses it.
    before: ExtentId,
    behind: ExtentId,
}

impl Extent {
    pub(super) const fn len(&self) -> u32 {
        self.to - self.from
    }

    /// Where it stands in its chain.
    const fn place(&self) -> (u32, u64) {
        (self.from, self.number)
    }
}

/// The extents of a chain by their places.
#[derive(Debug, Clone, Copy)]
struct InChain {
    lowest: ExtentId,
    uppermost: ExtentId,
    /// Registrations so far.
    num_registered: u64,
}

const EMPTY: InChain = InChain { lowest: NO_EXTENT, uppermost: NO_EXTENT, num_registered: 0 };

/// All extents. The free queue is a doubly linked list, as vLLM's is
/// (`vllm/v1/core/kv_cache_utils.py::FreeKVCacheBlockQueue`).
#[derive(Debug)]
pub(super) struct ExtentLists {
    extents: Vec<Extent>,
    unused: Vec<ExtentId>,
    of_chain: Vec<InChain>,
    /// Ends of the free queue.
    oldest: ExtentId,
    newest: ExtentId,
}

impl ExtentLists {
    pub(super) const fn new() -> Self {
        Self { extents: Vec::new(), unused: Vec::new(), of_chain: Vec::new(), oldest: NO_EXTENT, newest: NO_EXTENT }
    }

    #[inline]
    pub(super) fn get(&self, id: ExtentId) -> &Extent {
        &self.extents[id as usize]
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: ExtentId) -> &mut Extent {
        &mut self.extents[id as usize]
    }

    /// The free extent that is reused next.
    pub(super) const fn oldest(&self) -> ExtentId {
        self.oldest
    }

    /// The extent of a chain with the first position, or [`NO_EXTENT`].
    pub(super) fn lowest(&self, chain: u32) -> ExtentId {
        self.of_chain.get(chain as usize).map_or(NO_EXTENT, |list| list.lowest)
    }

    /// The last part of the chain's last registration, if no other extent begins above it.
    pub(super) fn newest(&self, chain: u32) -> Option<ExtentId> {
        let list = self.of_chain.get(chain as usize).filter(|list| list.uppermost != NO_EXTENT)?;
        Some(list.uppermost).filter(|&id| self.get(id).number == list.num_registered)
    }

    /// A new extent with one user.
    pub(super) fn add(&mut self, chain: u32, (from, to): (u32, u32)) -> ExtentId {
        if self.of_chain.len() <= chain as usize {
            self.of_chain.resize(chain as usize + 1, EMPTY);
        }
        let list = &mut self.of_chain[chain as usize];
        list.num_registered += 1;
        let (number, uppermost) = (list.num_registered, list.uppermost);
        let (lower, upper, before, behind) = (NO_EXTENT, NO_EXTENT, NO_EXTENT, NO_EXTENT);
        let id = self.insert(Extent { chain, from, to, ref_cnt: 1, number, lower, upper, before, behind });
        self.link(id, uppermost);
        id
    }

    fn insert(&mut self, extent: Extent) -> ExtentId {
        if let Some(id) = self.unused.pop() {
            self.extents[id as usize] = extent;
            return id;
        }
        self.extents.push(extent);
        math::usize_to_u32(self.extents.len() - 1)
    }

    /// Puts an extent into its chain: where it belongs, looked for from `near` on.
    fn link(&mut self, id: ExtentId, near: ExtentId) {
        let (chain, place) = (self.get(id).chain, self.get(id).place());
        let (mut lower, mut upper) = (near, if near == NO_EXTENT { NO_EXTENT } else { self.get(near).upper });
        while lower != NO_EXTENT && self.get(lower).place() > place {
            (lower, upper) = (self.get(lower).lower, lower);
        }
        while upper != NO_EXTENT && self.get(upper).place() < place {
            (lower, upper) = (upper, self.get(upper).upper);
        }
        self.join(chain, lower, id);
        self.join(chain, id, upper);
    }

    /// Makes two extents of a chain neighbours; [`NO_EXTENT`] stands for its end.
    fn join(&mut self, chain: u32, lower: ExtentId, upper: ExtentId) {
        if lower == NO_EXTENT {
            self.of_chain[chain as usize].lowest = upper;
        } else {
            self.get_mut(lower).upper = upper;
        }
        if upper == NO_EXTENT {
            self.of_chain[chain as usize].uppermost = lower;
        } else {
            self.get_mut(upper).lower = lower;
        }
    }

    /// Forgets an extent that is not in the free queue.
    pub(super) fn drop_extent(&mut self, id: ExtentId) {
        let Extent { chain, lower, upper, .. } = *self.get(id);
        self.join(chain, lower, upper);
        self.unused.push(id);
    }

    /// Cuts an extent at a position inside it. It keeps the lower part; returns the other one, which is reused before it.
    pub(super) fn cut(&mut self, id: ExtentId, at: u32) -> ExtentId {
        let extent = self.get_mut(id);
        let part = Extent { from: at, ..*extent };
        extent.to = at;
        let is_free = extent.ref_cnt == 0;
        let cut_off = self.insert(part);
        self.link(cut_off, id);
        if is_free {
            let before = self.get(id).before;
            self.follow(before, cut_off);
            self.follow(cut_off, id);
        }
        cut_off
    }

    /// The part above `id` that was cut from it and is not dropped.
    pub(super) fn cut_from(&self, id: ExtentId) -> ExtentId {
        let extent = self.get(id);
        let place = (extent.to, extent.number);
        let mut next = extent.upper;
        while self.get(next).place() != place {
            next = self.get(next).upper;
        }
        next
    }

    /// Puts an extent last into the free queue.
    pub(super) fn enqueue(&mut self, id: ExtentId) {
        self.follow(self.newest, id);
        self.follow(id, NO_EXTENT);
    }

    /// Takes an extent out of the free queue.
    pub(super) fn dequeue(&mut self, id: ExtentId) {
        let Extent { before, behind, .. } = *self.get(id);
        self.follow(before, behind);
    }

    /// Makes two free extents neighbours; [`NO_EXTENT`] stands for the queue's end.
    fn follow(&mut self, before: ExtentId, behind: ExtentId) {
        if before == NO_EXTENT {
            self.oldest = behind;
        } else {
            self.get_mut(before).behind = behind;
        }
        if behind == NO_EXTENT {
            self.newest = before;
        } else {
            self.get_mut(behind).before = before;
        }
    }

    /// Checks that each extent is where it belongs; returns the blocks in the free queue. For tests.
    ///
    /// # Panics
    /// If one is not.
    pub(super) fn assert_invariants(&self, keys: &BlockKeys) -> u32 {
        let mut num_unused_blocks = 0;
        for (chain, list) in (0..).zip(&self.of_chain) {
            let (mut num_registered, mut id, mut last) = (0, list.lowest, None);
            while id != NO_EXTENT {
                let extent = self.get(id);
                assert!(extent.chain == chain && extent.from < extent.to, "an extent of this chain");
                assert!(last < Some(extent.place()), "extents are in order");
                last = Some(extent.place());
                num_registered += extent.len();
                num_unused_blocks += if extent.ref_cnt == 0 { extent.len() } else { 0 };
                id = extent.upper;
            }
            assert!(keys.num_registered(chain) == num_registered, "a chain counts its blocks");
        }
        let (mut num_queued_blocks, mut id) = (0, self.oldest);
        while id != NO_EXTENT {
            assert!(self.get(id).ref_cnt == 0, "nobody uses a free extent");
            num_queued_blocks += self.get(id).len();
            id = self.get(id).behind;
        }
        assert!(num_queued_blocks == num_unused_blocks, "what nobody uses is in the queue");
        num_queued_blocks
    }
}
