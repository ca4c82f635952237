//! Versions of vLLM, as people and folders of data name them.

use std::fmt;

/// Whole numbers between dots; a later one is greater.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(Vec<u32>);

impl Version {
    /// `None` for a version of another form, such as that of a development build.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_plain = text.len() <= 32 && !text.is_empty();
        let parts: Option<Vec<u32>> = text.split('.').map(|part| part.parse().ok()).collect();
        parts.filter(|_| is_plain).map(Self)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(u32::to_string).collect();
        f.write_str(&parts.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn versions_are_ordered_as_numbers() {
        let [old, new] = ["0.9.2", "0.24.0"].map(|text| Version::parse(text).expect("a version"));
        assert!(old < new && new.to_string() == "0.24.0");
        for other in ["", "0.1.dev19262", "v0.24.0", "0..1", "99999999999"] {
            assert_eq!(Version::parse(other), None, "{other}");
        }
    }
}
