//! Lists as text: every closure of a view is code of its own in what a first visit loads, and lists need none.

/// `text` as it stands in HTML, in an attribute's quotes, too.
pub(crate) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            letter => html.push(letter),
        }
    }
    html
}

/// A choice of a `select`.
pub(crate) fn option(value: &str, name: &str, is_selected: bool) -> String {
    choice(value, name, if is_selected { " selected" } else { "" })
}

/// One that is there to be seen, not to be chosen.
pub(crate) fn option_off(value: &str, name: &str, is_selected: bool) -> String {
    choice(value, name, if is_selected { " disabled selected" } else { " disabled" })
}

fn choice(value: &str, name: &str, attributes: &str) -> String {
    format!("<option value=\"{}\"{attributes}>{}</option>", escaped(value), escaped(name))
}

/// Choices under a name.
pub(crate) fn group(name: &str, options: &str) -> String {
    format!("<optgroup label=\"{}\">{options}</optgroup>", escaped(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_file_says_is_markup() {
        let html = option("a\"b", "<img src=x onerror=alert(1)>", true);
        assert_eq!(html, "<option value=\"a&quot;b\" selected>&lt;img src=x onerror=alert(1)&gt;</option>");
        assert_eq!(option_off("", "none", true), "<option value=\"\" disabled selected>none</option>");
        assert_eq!(group("R&D's", ""), "<optgroup label=\"R&amp;D&#39;s\"></optgroup>");
    }
}
