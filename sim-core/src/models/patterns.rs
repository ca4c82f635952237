//! Patterns over the names of a model's modules, as quantisation configurations have them.
//!
//! Of regular expressions what such files use: letters, `.`, `*`, `+`, `?`, `\.`, `\d`, groups of alternatives, `^` and `$`.
//! Work is bounded; a pattern beyond that matches nothing.

/// Most steps that a match may take.
const MAX_STEPS: u32 = 2_000;
/// Longest pattern, in bytes; those of published files have a tenth of it.
const MAX_BYTES: usize = 256;

/// Whether `pattern` matches the beginning of `name`, as Python's `re.match` does.
pub(super) fn regex_matches(pattern: &str, name: &str) -> bool {
    if pattern.len() > MAX_BYTES {
        return false;
    }
    let mut steps = MAX_STEPS;
    let pattern = pattern.strip_prefix('^').unwrap_or(pattern);
    matches(pattern.as_bytes(), name.as_bytes(), &mut steps, &mut |_| true)
}

/// What goes on behind a match, given what is left of the name.
type Then<'a> = &'a mut dyn FnMut(&[u8]) -> bool;

/// Alternatives, one of which must match.
fn matches(pattern: &[u8], name: &[u8], steps: &mut u32, then: Then<'_>) -> bool {
    let mut depth = 0_u32;
    let mut start = 0;
    let mut place = 0;
    while let Some(&letter) = pattern.get(place) {
        match letter {
            b'\\' => place += 1,
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b'|' if depth == 0 => {
                let alternative = pattern.get(start..place).unwrap_or_default();
                if sequence(alternative, name, steps, then) {
                    return true;
                }
                start = place + 1;
            }
            _ => {}
        }
        place += 1;
    }
    sequence(pattern.get(start..).unwrap_or_default(), name, steps, then)
}

/// One thing of a pattern: how many letters it takes up, and what it is.
enum Atom<'a> {
    Any,
    Digit,
    Letter(u8),
    Group(&'a [u8]),
    End,
}

fn atom(pattern: &[u8]) -> Option<(Atom<'_>, &[u8])> {
    let (&first, rest) = pattern.split_first()?;
    Some(match first {
        b'.' => (Atom::Any, rest),
        b'$' => (Atom::End, rest),
        b'\\' => {
            let (&escaped, rest) = rest.split_first()?;
            (if escaped == b'd' { Atom::Digit } else { Atom::Letter(escaped) }, rest)
        }
        b'(' => {
            let end = closing(rest)?;
            let inside = rest.get(..end)?;
            (Atom::Group(inside.strip_prefix(b"?:").unwrap_or(inside)), rest.get(end + 1..)?)
        }
        letter => (Atom::Letter(letter), rest),
    })
}

/// Where a group that has begun ends.
fn closing(pattern: &[u8]) -> Option<usize> {
    let mut depth = 0_u32;
    let mut is_escaped = false;
    for (place, &letter) in pattern.iter().enumerate() {
        match letter {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'(' => depth += 1,
            b')' if depth == 0 => return Some(place),
            b')' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn sequence(pattern: &[u8], name: &[u8], steps: &mut u32, then: Then<'_>) -> bool {
    if *steps == 0 {
        return false;
    }
    *steps -= 1;
    if pattern.is_empty() {
        return then(name);
    }
    let Some((first, rest)) = atom(pattern) else { return false };
    let (least, most, rest) = match rest.split_first() {
        Some((b'*', rest)) => (0, u32::MAX, rest),
        Some((b'+', rest)) => (1, u32::MAX, rest),
        Some((b'?', rest)) => (0, 1, rest),
        _ => (1, 1, rest),
    };
    repeated(&first, (least, most), name, steps, &mut |left, steps| sequence(rest, left, steps, then))
}

/// What goes on behind a repetition.
type Next<'a> = &'a mut dyn FnMut(&[u8], &mut u32) -> bool;

/// As many of an atom as there can be, then fewer.
fn repeated(atom: &Atom<'_>, (least, most): (u32, u32), name: &[u8], steps: &mut u32, next: Next<'_>) -> bool {
    if let Atom::Group(inside) = atom {
        // No such file repeats a group; one that may be left out is tried both ways.
        let mut ends = alloc::vec::Vec::new();
        matches(inside, name, steps, &mut |left| {
            ends.push(left.len());
            false
        });
        let behind = |len: usize| name.get(name.len().saturating_sub(len)..).unwrap_or_default();
        return ends.into_iter().any(|len| next(behind(len), steps)) || (least == 0 && next(name, steps));
    }
    if matches!(atom, Atom::End) {
        return name.is_empty() && next(name, steps);
    }
    let is_met = |letter: &u8| match atom {
        Atom::Any => true,
        Atom::Digit => letter.is_ascii_digit(),
        Atom::Letter(wanted) => letter == wanted,
        Atom::Group(_) | Atom::End => false,
    };
    let longest = name.iter().take_while(|letter| is_met(letter)).count();
    let longest = longest.min(usize::try_from(most).unwrap_or(usize::MAX));
    let least = usize::try_from(least).unwrap_or(usize::MAX);
    (least..=longest).rev().any(|taken| next(name.get(taken..).unwrap_or_default(), steps))
}

#[cfg(test)]
mod tests {
    use super::regex_matches;

    #[track_caller]
    fn check(pattern: &str, name: &str, expect: bool) {
        assert_eq!(regex_matches(pattern, name), expect, "{pattern} and {name}");
    }

    #[test]
    fn patterns_of_published_files_match_what_python_matches() {
        check(".*self_attn.*", "model.layers.3.self_attn.q_proj", true);
        check(".*self_attn.*", "model.layers.3.mlp.down_proj", false);
        check(r".*mlp\.(gate|up|gate_up|down)_proj.*", "model.layers.0.mlp.gate_up_proj", true);
        check(r".*mlp\.(gate|up|gate_up|down)_proj.*", "model.layers.0.mlp.experts.7.gate_proj", false);
        check(".*lm_head", "language_model.lm_head", true);
        check(r".*mlp\.gate$", "model.layers.0.mlp.gate_proj", false);
        check(r"model\.layers\.\d+\.mlp", "model.layers.17.mlp.up_proj", true);
        check(r"^model\.(a|layers)\.1.?\.", "model.layers.12.x", true);
        check("vision.*", "model.vision_tower", false);
        check("(((((((((((a*)*)*)*)*)*)*)*)*)*)*)b", "aaaaaaaaaaaaaaaaaaaaaaaa", false);
        check("(", "(", false);
        check("\\", "\\", false);
    }
}
