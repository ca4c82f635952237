//! What a step came to.

use core::cmp::Ordering;

/// A change smaller than this share says nothing: it is what a search may be off by.
pub const NOISE: f64 = 0.01;

/// What a step changes in how much is carried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// Carries more, by this share.
    More(f64),
    /// Nothing that could be told apart from chance.
    Same,
    /// Carries less, by this share (negative).
    Less(f64),
    /// Carries nothing under the objectives.
    Nothing,
}

impl Change {
    /// That of a step with which `after` is carried where it was `before`; `None` stands for nothing.
    #[must_use]
    pub fn new(before: Option<f64>, after: Option<f64>) -> Self {
        match (before.filter(|load| *load > 0.0), after) {
            (_, None) => Self::Nothing,
            (None, Some(_)) => Self::More(f64::INFINITY),
            (Some(before), Some(after)) => match after / before - 1.0 {
                change if change >= NOISE => Self::More(change),
                change if change <= -NOISE => Self::Less(change),
                _ => Self::Same,
            },
        }
    }

    /// The change as a share; of nothing, all of it.
    #[must_use]
    pub const fn share(self) -> f64 {
        match self {
            Self::More(change) | Self::Less(change) => change,
            Self::Same => 0.0,
            Self::Nothing => -1.0,
        }
    }

    /// The best first.
    #[must_use]
    pub fn best_first(self, other: Self) -> Ordering {
        other.share().total_cmp(&self.share())
    }
}
