//! Where a recording of the real scheduler and the simulator part.

use std::fmt;

/// The first difference between a recording and the simulator.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Iteration of the engine's loop.
    iteration: u32,
    /// Field of the trace format, with what it means.
    field: &'static str,
    /// Request concerned, if the field is a list of requests.
    request: Option<u32>,
    /// What was recorded.
    expected: String,
    /// What the simulator did.
    found: String,
}

impl Difference {
    /// One of them ends at `iteration`, where the recording has `expected` iterations.
    pub(super) fn in_length(iteration: u32, expected: usize, found: String) -> Self {
        Self { iteration, field: "number of iterations", request: None, expected: expected.to_string(), found }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "iteration {}", self.iteration)?;
        if let Some(request) = self.request {
            write!(f, ", request {request}")?;
        }
        write!(f, ", {}: expected {}, found {}", self.field, self.expected, self.found)
    }
}

/// A difference if the values are not equal.
pub(super) fn compare_value<T: PartialEq + fmt::Debug>(
    iteration: u32,
    field: &'static str,
    expected: &T,
    found: &T,
) -> Option<Difference> {
    (expected != found).then(|| Difference {
        iteration,
        field,
        request: None,
        expected: format!("{expected:?}"),
        found: format!("{found:?}"),
    })
}

/// A difference at the first request for which the lists are not equal.
pub(super) fn compare_list<T: PartialEq + fmt::Debug>(
    iteration: u32,
    field: &'static str,
    expected: &[(u32, T)],
    found: &[(u32, T)],
) -> Option<Difference> {
    if expected == found {
        return None;
    }
    let longest = expected.len().max(found.len());
    let place = (0..longest).find(|&place| expected.get(place) != found.get(place))?;
    let describe = |entry: Option<&(u32, T)>| entry.map_or_else(|| "nothing".to_owned(), |entry| format!("{entry:?}"));
    Some(Difference {
        iteration,
        field,
        request: expected.get(place).or(found.get(place)).map(|entry| entry.0),
        expected: describe(expected.get(place)),
        found: describe(found.get(place)),
    })
}
