//! What a pass has to give, and what is left of it.

/// What is left to give out in the pass being decided, and what is known of it so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    /// Tokens that the next request can have.
    pub(super) num_tokens: u32,
    /// Most tokens of one request; 0 for no limit.
    pub(super) long_prefill_cap: u32,
    /// Left of `max_num_scheduled_tokens`; kept only where drafting takes slots.
    pub(super) scheduled: u32,
    /// Left of `max_num_batched_tokens`, which drafting slots count against; likewise.
    pub(super) inputs: u32,
    pub(super) draft_slots: u32,
    /// Whether prompts wait for a later pass.
    pub(super) holds_prefills: bool,
    /// Whether a running request is at its prompt.
    pub(super) has_running_prefill: bool,
    /// Whether a request was admitted with a prompt to compute.
    pub(super) has_admitted_prefill: bool,
    /// Whether some request can use drafts proposed after the pass.
    pub(super) needs_drafts: bool,
}

impl Budget {
    /// At most the cap on one request's tokens.
    pub(super) const fn capped(&self, num_new_tokens: u32) -> u32 {
        if 0 < self.long_prefill_cap && self.long_prefill_cap < num_new_tokens {
            self.long_prefill_cap
        } else {
            num_new_tokens
        }
    }

    /// The same with so many tokens set aside.
    pub(super) const fn without(&self, num_tokens: u32) -> Self {
        Self { num_tokens: self.num_tokens - num_tokens, ..*self }
    }

    /// A request gets `num_new_tokens`. `PLAIN`: there is no drafter.
    #[inline]
    pub(super) fn take<const PLAIN: bool>(&mut self, num_new_tokens: u32) {
        self.num_tokens -= num_new_tokens;
        if !PLAIN && self.draft_slots > 0 {
            self.scheduled -= num_new_tokens;
            self.inputs -= num_new_tokens + self.draft_slots;
            self.num_tokens = self.scheduled.min(self.inputs.saturating_sub(self.draft_slots));
        }
    }

    /// A request that is taken out of the pass had `num_new_tokens`.
    pub(super) fn give_back(&mut self, num_new_tokens: u32) {
        self.num_tokens += num_new_tokens;
        if self.draft_slots > 0 {
            self.scheduled += num_new_tokens;
            self.inputs += num_new_tokens + self.draft_slots;
            self.num_tokens = self.scheduled.min(self.inputs.saturating_sub(self.draft_slots));
        }
    }
}
