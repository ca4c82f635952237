//! A scenario as the fragment of a URL: `#v=1&profile=NAME&max-num-seqs=64&request-rate=8`.
//!
//! Only what was given is written, under vLLM's names, so that a link can be read by eye and a default that changes in
//! vLLM changes for the link, too. A profile or a dataset of the user's own travels inside, deflated, if it fits. A
//! fragment is never sent to a server. It comes from anybody: every part of it is bounded and checked.
//!
//! | key | |
//! |---|---|
//! | `v` | version of this format; first, and always there |
//! | `sim` | version of the simulator that wrote it |
//! | `profile`, `profile-hash` | name of the whole-pass profile, and [`fingerprint`] of its file; with one of them it holds, else what `model` and `gpu` compose |
//! | `profile-z` | its file: deflated, base64url |
//! | `config-hash`, `config-z` | the same for the `config.json` that is the model, whatever `model` calls it |
//! | `pack-hash`, `pack-z` | the same for the pack of operators that is the GPU, whatever `gpu` calls it; most are too large |
//! | `dataset-hash`, `dataset-z` | the same for the dataset's file, whose name is `dataset-path` |
//! | `ask`, `ask-by`, `ask-share`, `ask-seeds`, `ask-for`, `ask-gpus` | the question about it ([`Asking`]): `load`, `flags`, `gpu`; without, what happens |
//! | any other | a flag of [`super::FLAGS`]; a list's words are joined by commas |

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;

use super::{Asking, FLAGS, Form, Scenario, ScenarioError, examples};

/// Version of the format that is written.
pub const VERSION: u32 = 1;

/// Longest fragment that is read, in bytes.
pub const MAX_FRAGMENT_BYTES: usize = 1 << 16;

/// Longest link that chats and mail programs leave whole, in bytes; longer ones are better sent as a file.
pub const COMFORTABLE_BYTES: usize = 8_000;

/// Largest file that a fragment may inflate to, in bytes.
pub const MAX_INFLATED_BYTES: usize = 1 << 20;

/// Most pairs of a fragment.
const MAX_PAIRS: usize = 200;

/// Longest name of a profile, in bytes.
const MAX_NAME_BYTES: usize = 100;

/// What a name must be that becomes part of an address.
const NAME: &str = "a name of 1 to 100 letters, digits, dots, dashes and underscores";

/// Turns the pairs of version `n + 1` into those of version `n + 2`. A step is never removed: links are for ever.
type Upgrade = fn(&mut Vec<(String, String)>);
const UPGRADES: [Upgrade; VERSION as usize - 1] = [];

/// What a link carries.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Link {
    /// The flags.
    pub scenario: Scenario,
    /// Name of the profile; `None`: the default one.
    pub profile: Option<String>,
    /// [`fingerprint`] of the profile's file.
    pub profile_hash: Option<u64>,
    /// The profile's file itself.
    pub profile_file: Option<Vec<u8>>,
    /// [`fingerprint`] of the `config.json` that is the model, if it is the user's own.
    pub config_hash: Option<u64>,
    /// That `config.json` itself.
    pub config_file: Option<Vec<u8>>,
    /// [`fingerprint`] of the pack of operators that is the GPU, if it is the user's own.
    pub pack_hash: Option<u64>,
    /// That pack itself.
    pub pack_file: Option<Vec<u8>>,
    /// [`fingerprint`] of the dataset's file.
    pub dataset_hash: Option<u64>,
    /// The dataset's file itself.
    pub dataset_file: Option<Vec<u8>>,
    /// What is asked about it.
    pub asking: Asking,
    /// Version of the simulator that wrote it.
    pub made_by: Option<String>,
}

/// Why a fragment cannot be read. Each variant's doc is its exact predicate.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum LinkError {
    /// It is longer than [`MAX_FRAGMENT_BYTES`].
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// It has more than 200 pairs.
    TooManyPairs,
    /// It does not begin with `v=` and a whole number from 1.
    NoVersion,
    /// Its version is above [`VERSION`].
    Newer {
        /// Its version.
        version: u32,
    },
    /// A percent sign is not followed by two hexadecimal digits, or they are no UTF-8.
    Encoding {
        /// The key.
        key: String,
    },
    /// A key comes twice.
    Twice {
        /// The key.
        key: String,
    },
    /// The value of a key of ours is not what it must be.
    Value {
        /// The key.
        key: &'static str,
        /// What it must be.
        need: &'static str,
    },
    /// A file inside is not deflated, or inflates to more than [`MAX_INFLATED_BYTES`].
    File {
        /// The key.
        key: &'static str,
    },
    /// A flag is refused.
    Flag(Box<ScenarioError>),
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("share link: ")?;
        match self {
            Self::TooLong { length } => write!(f, "{length} bytes; the limit is {MAX_FRAGMENT_BYTES}"),
            Self::TooManyPairs => write!(f, "more than {MAX_PAIRS} settings"),
            Self::NoVersion => f.write_str("it does not begin with v= and a version, such as #v=1&request-rate=8"),
            Self::Newer { version } => write!(
                f,
                "it was made by a newer version (format {version}, this one knows {VERSION}): reload the page, or update"
            ),
            Self::Encoding { key } => write!(f, "{key}: broken percent-encoding"),
            Self::Twice { key } => write!(f, "{key} comes twice"),
            Self::Value { key, need } => write!(f, "{key}: it must be {need}"),
            Self::File { key } => {
                write!(f, "{key}: cut off, damaged, or more than {MAX_INFLATED_BYTES} bytes when inflated")
            }
            Self::Flag(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for LinkError {}

impl Link {
    /// Whether a whole-pass profile is chosen; else the flags say what is composed, if they say anything.
    #[must_use]
    pub const fn has_profile(&self) -> bool {
        self.profile.is_some() || self.profile_hash.is_some() || self.profile_file.is_some()
    }

    /// The fragment, with `#`.
    #[must_use]
    pub fn to_fragment(&self) -> String {
        let mut pairs: Vec<(Cow<'_, str>, Option<String>)> = Vec::new();
        let mut ours = |key: &'static str, value: Option<String>| {
            pairs.extend(value.map(|value| (Cow::Borrowed(key), Some(value))));
        };
        let file = |file: &Option<Vec<u8>>| file.as_ref().map(|file| URL_SAFE_NO_PAD.encode(compress_to_vec(file, 9)));
        let hash = |hash: Option<u64>| hash.map(|hash| alloc::format!("{hash:016x}"));
        ours("v", Some(VERSION.to_string()));
        ours("sim", self.made_by.clone());
        for (key, value) in self.asking.pairs() {
            ours(key, Some(value));
        }
        ours("profile", self.profile.clone());
        ours("profile-hash", hash(self.profile_hash));
        for (flag, value) in self.scenario.given() {
            let (name, value) = flag.written(value);
            let value = value.map(|value| match flag.form {
                Form::List => value.split_ascii_whitespace().collect::<Vec<_>>().join(","),
                _ => value,
            });
            pairs.push((name.into(), value));
        }
        let mut ours = |key: &'static str, value: Option<String>| {
            pairs.extend(value.map(|value| (Cow::Borrowed(key), Some(value))));
        };
        ours("config-hash", hash(self.config_hash));
        ours("config-z", file(&self.config_file));
        ours("pack-hash", hash(self.pack_hash));
        ours("dataset-hash", hash(self.dataset_hash));
        ours("dataset-z", file(&self.dataset_file));
        ours("pack-z", file(&self.pack_file));
        ours("profile-z", file(&self.profile_file));
        let mut text = String::from("#");
        for (place, (key, value)) in pairs.iter().enumerate() {
            text.push_str(if place == 0 { "" } else { "&" });
            text.push_str(key);
            if let Some(value) = value {
                text.push('=');
                push_encoded(&mut text, value);
            }
        }
        text
    }

    /// Reads a fragment, with or without `#` and what stands before it.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub fn from_fragment(text: &str) -> Result<Self, LinkError> {
        let text = text.trim();
        let fragment = text.split_once('#').map_or(text, |(_, fragment)| fragment);
        if fragment.len() > MAX_FRAGMENT_BYTES {
            return Err(LinkError::TooLong { length: fragment.len() });
        }
        let mut link = Self::default();
        let pairs = current_pairs(fragment)?;
        for (place, (key, value)) in pairs.iter().enumerate() {
            match link.asking.take(key, value) {
                Some(_) if pairs.iter().take(place).any(|(other, _)| other == key) => {
                    return Err(LinkError::Twice { key: key.clone() });
                }
                Some(taken) => taken.map_err(|(key, need)| LinkError::Value { key, need })?,
                None => link.take(key, value.clone())?,
            }
        }
        examples::take_old_name(&mut link);
        Ok(link)
    }

    fn take(&mut self, key: &str, value: String) -> Result<(), LinkError> {
        let is_taken = match key {
            "sim" => self.made_by.replace(short(value, "sim")?).is_some(),
            "profile" => {
                if !is_profile_name(&value) {
                    return Err(LinkError::Value { key: "profile", need: NAME });
                }
                self.profile.replace(value).is_some()
            }
            "profile-hash" => self.profile_hash.replace(hash(&value, "profile-hash")?).is_some(),
            "config-hash" => self.config_hash.replace(hash(&value, "config-hash")?).is_some(),
            "config-z" => self.config_file.replace(inflated(&value, "config-z")?).is_some(),
            "pack-hash" => self.pack_hash.replace(hash(&value, "pack-hash")?).is_some(),
            "pack-z" => self.pack_file.replace(inflated(&value, "pack-z")?).is_some(),
            "gpu" if !is_profile_name(&value) => return Err(LinkError::Value { key: "gpu", need: NAME }),
            "dataset-hash" => self.dataset_hash.replace(hash(&value, "dataset-hash")?).is_some(),
            "profile-z" => self.profile_file.replace(inflated(&value, "profile-z")?).is_some(),
            "dataset-z" => self.dataset_file.replace(inflated(&value, "dataset-z")?).is_some(),
            flag => {
                let is_taken = self.scenario.get(flag).is_some();
                let flag_of = |name: &str| FLAGS.iter().find(|known| known.name == name);
                let value = match flag_of(flag).map(|flag| flag.form) {
                    Some(Form::List) => value.replace(',', " "),
                    _ => value,
                };
                let value = Some(value.as_str()).filter(|value| !value.is_empty());
                self.scenario.set(flag, value).map_err(|error| LinkError::Flag(Box::new(error)))?;
                is_taken
            }
        };
        if is_taken { Err(LinkError::Twice { key: key.into() }) } else { Ok(()) }
    }
}

/// 64-bit FNV-1a of a file's bytes: tells files apart that differ by accident.
#[must_use]
pub fn fingerprint(file: &[u8]) -> u64 {
    file.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Whether a profile or a GPU's pack may have this name: it becomes part of the address that the page loads it from.
#[must_use]
pub fn is_profile_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(is_allowed) && !name.starts_with('.')
}

/// The pairs of a fragment without its version, as the newest version has them.
fn current_pairs(fragment: &str) -> Result<Vec<(String, String)>, LinkError> {
    let mut pairs = Vec::new();
    for pair in fragment.split('&').filter(|pair| !pair.is_empty()) {
        if pairs.len() == MAX_PAIRS {
            return Err(LinkError::TooManyPairs);
        }
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(value).ok_or_else(|| LinkError::Encoding { key: key.chars().take(40).collect() })?;
        pairs.push((key.to_string(), value));
    }
    if pairs.first().is_none_or(|(key, _)| key != "v") {
        return Err(LinkError::NoVersion);
    }
    let (_, version) = pairs.remove(0);
    let version: u32 = version.parse().ok().filter(|&version| version > 0).ok_or(LinkError::NoVersion)?;
    if version > VERSION {
        return Err(LinkError::Newer { version });
    }
    for upgrade in UPGRADES.iter().skip(usize::try_from(version - 1).unwrap_or(usize::MAX)) {
        upgrade(&mut pairs);
    }
    Ok(pairs)
}

fn short(value: String, key: &'static str) -> Result<String, LinkError> {
    if value.len() > MAX_NAME_BYTES {
        return Err(LinkError::Value { key, need: "at most 100 bytes" });
    }
    Ok(value)
}

fn hash(value: &str, key: &'static str) -> Result<u64, LinkError> {
    let is_hash = value.len() == 16 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u64::from_str_radix(value, 16).ok().filter(|_| is_hash);
    number.ok_or(LinkError::Value { key, need: "16 hexadecimal digits" })
}

fn inflated(value: &str, key: &'static str) -> Result<Vec<u8>, LinkError> {
    let deflated = URL_SAFE_NO_PAD.decode(value).ok();
    deflated
        .and_then(|deflated| decompress_to_vec_with_limit(&deflated, MAX_INFLATED_BYTES).ok())
        .ok_or(LinkError::File { key })
}

/// Appends `value`, percent-encoding what a URL does not take, and what makes chat programs cut it off.
fn push_encoded(text: &mut String, value: &str) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:@,/*".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            write!(text, "%{byte:02X}").unwrap_or_default();
        }
    }
}

/// The value without percent-encoding; `None` if that is broken.
fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let digits = rest.split_at_checked(2)?;
            let text = core::str::from_utf8(digits.0).ok().filter(|text| !text.starts_with('+'))?;
            bytes.push(u8::from_str_radix(text, 16).ok()?);
            rest = digits.1;
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}
