//! Line breaks for a profile file: readable in an editor, one row of a table to a line.

use alloc::string::String;

/// Lays out compact JSON: an array without arrays or objects in it stays on one line, all else is indented by one
/// space a level.
pub(super) fn lay_out(compact: &str) -> String {
    let mut out = String::with_capacity(compact.len() + compact.len() / 4);
    let mut depth = 0_usize;
    let mut flat_array = false;
    let mut in_string = false;
    let mut escaped = false;
    for (at, c) in compact.char_indices() {
        if in_string {
            out.push(c);
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            '[' if is_flat(&compact[at + 1..]) => {
                flat_array = true;
                out.push(c);
            }
            ']' if flat_array => {
                flat_array = false;
                out.push(c);
            }
            '[' | '{' => {
                depth += 1;
                out.push(c);
                new_line(&mut out, depth);
            }
            ']' | '}' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(c);
            }
            ',' if flat_array => out.push_str(", "),
            ',' => {
                out.push(c);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => {
                in_string = c == '"';
                out.push(c);
            }
        }
    }
    out.push('\n');
    out
}

/// Whether the array whose inside begins here ends before another array, an object or a text begins. Texts get a line
/// each because they are sentences.
fn is_flat(inside: &str) -> bool {
    inside.chars().find(|c| matches!(c, '[' | '{' | '"' | ']')) == Some(']')
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    for _ in 0..depth {
        out.push(' ');
    }
}

#[cfg(test)]
mod tests {
    use super::lay_out;

    #[track_caller]
    fn check(compact: &str, expect: &str) {
        assert_eq!(lay_out(compact), expect);
        let (left, right): (serde_json::Value, serde_json::Value) =
            (serde_json::from_str(compact).unwrap(), serde_json::from_str(expect).unwrap());
        assert_eq!(left, right, "layout changes no value");
    }

    #[test]
    fn a_row_of_a_table_is_one_line() {
        check(r#"{"a":[[1,2],[3,null]]}"#, "{\n \"a\": [\n  [1, 2],\n  [3, null]\n ]\n}\n");
        check("[]", "[]\n");
    }

    #[test]
    fn texts_keep_their_punctuation() {
        check(r#"{"a":"x,{\":[\\"}"#, "{\n \"a\": \"x,{\\\":[\\\\\"\n}\n");
        check(r#"["a","b"]"#, "[\n \"a\",\n \"b\"\n]\n");
    }
}
