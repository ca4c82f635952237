//! Which replica was sent which prompts: a radix tree over tokens, whose nodes know the replicas that have them.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use crate::request::TokenRun;

/// The tree. A node stands for the tokens on the way to it; the root for none.
#[derive(Debug)]
pub(super) struct PrefixTree {
    nodes: Vec<Node>,
    num_insertions: u64,
}

#[derive(Debug, Clone, Default)]
struct Node {
    /// Tokens from the parent to here.
    label: Vec<TokenRun>,
    /// By first token.
    children: BTreeMap<u64, usize>,
    /// Replicas that were sent all of this, in the order in which they first were, and when they last were.
    holders: Vec<(usize, u64)>,
    /// Replicas that were sent a prompt which ends here.
    ends: Vec<usize>,
}

/// A node on the way of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step<'a> {
    /// Tokens of the prompt that are known up to here, of this node at least one.
    pub(super) num_tokens: u64,
    /// Replicas that have them, the one that brought them first, and the number of the insertion that was their last.
    pub(super) holders: &'a [(usize, u64)],
    /// Replicas that were sent a prompt of exactly these tokens; none if the node goes on.
    pub(super) ends: &'a [usize],
}

impl PrefixTree {
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node::default()], num_insertions: 0 }
    }

    /// Insertions so far.
    pub(super) const fn num_insertions(&self) -> u64 {
        self.num_insertions
    }

    /// The nodes that a prompt goes through, from the root; the last one may be left in the middle.
    pub(super) fn steps(&self, prompt: &[TokenRun]) -> Vec<Step<'_>> {
        let mut rest = Rest::of(prompt);
        let (mut at, mut num_tokens) = (0, 0);
        let mut steps = Vec::new();
        while let Some(&child) = rest.first().and_then(|token| self.nodes[at].children.get(&token)) {
            let node = &self.nodes[child];
            let shared = rest.shared_with(&node.label);
            num_tokens += shared;
            let is_whole = shared == len(&node.label);
            steps.push(Step { num_tokens, holders: &node.holders, ends: if is_whole { &node.ends } else { &[] } });
            if !is_whole {
                break;
            }
            at = child;
        }
        steps
    }

    /// `replica` is sent a prompt.
    pub(super) fn insert(&mut self, prompt: &[TokenRun], replica: usize) {
        self.num_insertions += 1;
        let mut rest = Rest::of(prompt);
        let mut at = 0;
        self.hold(at, replica);
        while let Some(token) = rest.first() {
            let Some(&child) = self.nodes[at].children.get(&token) else {
                let leaf = self.nodes.len();
                self.nodes.push(Node { label: rest.runs(), ends: vec![replica], ..Node::default() });
                self.nodes[at].children.insert(token, leaf);
                self.hold(leaf, replica);
                return;
            };
            let shared = rest.shared_with(&self.nodes[child].label);
            at = if shared < len(&self.nodes[child].label) { self.split(at, child, shared) } else { child };
            self.hold(at, replica);
        }
        let ends = &mut self.nodes[at].ends;
        if !ends.contains(&replica) {
            ends.push(replica);
        }
    }

    /// A replica is gone with all it had.
    pub(super) fn forget(&mut self, replica: usize) {
        for node in &mut self.nodes {
            node.holders.retain(|&(holder, _)| holder != replica);
            node.ends.retain(|&end| end != replica);
        }
    }

    fn hold(&mut self, node: usize, replica: usize) {
        let now = self.num_insertions;
        let holders = &mut self.nodes[node].holders;
        match holders.iter_mut().find(|holder| holder.0 == replica) {
            Some(holder) => holder.1 = now,
            None => holders.push((replica, now)),
        }
    }

    /// Puts a node between `parent` and `child`, for the first `num_tokens` tokens of the latter.
    fn split(&mut self, parent: usize, child: usize, num_tokens: u64) -> usize {
        let (head, tail) = cut(&self.nodes[child].label, num_tokens);
        let (head_token, tail_token) =
            (head.first().map_or(0, |run| run.start), tail.first().map_or(0, |run| run.start));
        let middle = self.nodes.len();
        let node = Node {
            label: head,
            children: BTreeMap::from([(tail_token, child)]),
            holders: self.nodes[child].holders.clone(),
            ends: Vec::new(),
        };
        self.nodes.push(node);
        self.nodes[child].label = tail;
        self.nodes[parent].children.insert(head_token, middle);
        middle
    }
}

/// What is left of a prompt on its way down.
struct Rest<'a> {
    runs: &'a [TokenRun],
    /// Tokens of the first run that are gone.
    num_gone: u32,
}

impl<'a> Rest<'a> {
    const fn of(runs: &'a [TokenRun]) -> Self {
        Self { runs, num_gone: 0 }
    }

    fn first(&self) -> Option<u64> {
        self.runs.first().map(|run| run.start + u64::from(self.num_gone))
    }

    fn runs(&self) -> Vec<TokenRun> {
        let mut runs = self.runs.to_vec();
        if let Some(first) = runs.first_mut() {
            *first = TokenRun { start: first.start + u64::from(self.num_gone), len: first.len - self.num_gone };
        }
        runs
    }

    /// Goes on by the tokens that are those of `label`, and says how many.
    fn shared_with(&mut self, label: &[TokenRun]) -> u64 {
        let mut shared = 0;
        for run in label {
            let mut done = 0;
            while done < run.len {
                let Some(mine) = self.runs.first() else { return shared };
                if mine.start + u64::from(self.num_gone) != run.start + u64::from(done) {
                    return shared;
                }
                let num_equal = (mine.len - self.num_gone).min(run.len - done);
                self.num_gone += num_equal;
                done += num_equal;
                shared += u64::from(num_equal);
                if self.num_gone == mine.len {
                    (self.runs, self.num_gone) = (&self.runs[1..], 0);
                }
            }
        }
        shared
    }
}

fn len(runs: &[TokenRun]) -> u64 {
    runs.iter().map(|run| u64::from(run.len)).sum()
}

/// The first `num_tokens` tokens of `runs`, and the others.
fn cut(runs: &[TokenRun], num_tokens: u64) -> (Vec<TokenRun>, Vec<TokenRun>) {
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    let mut left = num_tokens;
    for &run in runs {
        let taken = u32::try_from(left).unwrap_or(u32::MAX).min(run.len);
        if taken > 0 {
            head.push(TokenRun { len: taken, ..run });
        }
        if taken < run.len {
            tail.push(TokenRun { start: run.start + u64::from(taken), len: run.len - taken });
        }
        left -= u64::from(taken);
    }
    (head, tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(inserted: &[(&[(u64, u32)], usize)], asked: &[(u64, u32)], expect: &[(u64, &[usize])]) {
        let runs = |pairs: &[(u64, u32)]| pairs.iter().map(|&(start, len)| TokenRun { start, len }).collect::<Vec<_>>();
        let mut tree = PrefixTree::new();
        for (prompt, replica) in inserted {
            tree.insert(&runs(prompt), *replica);
        }
        let prompt = runs(asked);
        let found: Vec<(u64, Vec<usize>)> = tree
            .steps(&prompt)
            .iter()
            .map(|step| (step.num_tokens, step.holders.iter().map(|holder| holder.0).collect()))
            .collect();
        let expect: Vec<(u64, Vec<usize>)> =
            expect.iter().map(|&(tokens, holders)| (tokens, holders.to_vec())).collect();
        assert_eq!(found, expect, "{inserted:?}, asked {asked:?}");
    }

    #[test]
    fn prefixes_are_found_however_prompts_are_cut_into_runs() {
        check(&[], &[(0, 9)], &[]);
        check(&[(&[(0, 9)], 3)], &[(0, 9)], &[(9, &[3])]);
        check(&[(&[(0, 4), (4, 5)], 3)], &[(0, 9), (50, 1)], &[(9, &[3])]);
        check(&[(&[(0, 9)], 3)], &[(0, 5), (90, 2)], &[(5, &[3])]);
        check(&[(&[(0, 9)], 3)], &[(1, 9)], &[]);
        // The second prompt leaves the first in the middle.
        check(&[(&[(0, 9)], 3), (&[(0, 5), (90, 2)], 1)], &[(0, 9)], &[(5, &[3, 1]), (9, &[3])]);
        check(&[(&[(0, 9)], 3), (&[(0, 5), (90, 2)], 1)], &[(0, 5), (90, 7)], &[(5, &[3, 1]), (7, &[1])]);
        check(&[(&[(0, 9)], 3), (&[(0, 5)], 1), (&[(0, 9)], 3)], &[(0, 7)], &[(5, &[3, 1]), (7, &[3])]);
    }
}
