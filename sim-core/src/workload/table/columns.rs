//! Which column of a table is what: by the names that people use, or as they say.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::super::error::WorkloadError;
use super::times::TimeUnit;

/// What a column can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// When the request came.
    Time,
    /// Prompt length in tokens, all that the engine gets: earlier turns are part of it.
    Prompt,
    /// Output length in tokens.
    Output,
    /// Which conversation the request is a turn of.
    Session,
    /// What the request is called in [`Role::Parent`] of others.
    Id,
    /// The request whose answer this one goes on from.
    Parent,
    /// Time from the answer before to this request.
    Delay,
    /// Time from this request's answer to the next of its session.
    Pause,
    /// Hashes of the prompt's chunks.
    Hashes,
    /// Ids of the prompt's tokens.
    Tokens,
    /// Which shared beginning the prompt has.
    Prefix,
    /// Length of that beginning in tokens.
    PrefixLen,
    /// Prompt length without that beginning, in tokens.
    Suffix,
    /// Scheduling priority; lower is sooner.
    Priority,
    /// A list of the turns of a session, each an object of its own.
    Turns,
}

impl Role {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 15] = [
        Self::Time,
        Self::Prompt,
        Self::Output,
        Self::Session,
        Self::Id,
        Self::Parent,
        Self::Delay,
        Self::Pause,
        Self::Hashes,
        Self::Tokens,
        Self::Prefix,
        Self::PrefixLen,
        Self::Suffix,
        Self::Priority,
        Self::Turns,
    ];

    /// Its name in `--columns`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Prompt => "prompt",
            Self::Output => "output",
            Self::Session => "session",
            Self::Id => "id",
            Self::Parent => "parent",
            Self::Delay => "delay",
            Self::Pause => "pause",
            Self::Hashes => "hashes",
            Self::Tokens => "tokens",
            Self::Prefix => "prefix",
            Self::PrefixLen => "prefix-len",
            Self::Suffix => "suffix",
            Self::Priority => "priority",
            Self::Turns => "turns",
        }
    }

    /// Its place in [`Role::ALL`].
    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// Whether its values are times, so that its name can end in a unit.
    const fn is_time(self) -> bool {
        matches!(self, Self::Time | Self::Delay | Self::Pause)
    }

    /// Names that say this, in small letters and without anything between them; the first that is there is taken.
    ///
    /// Sources: Azure's `LLMInferenceDataset2023`, BurstGPT, Vidur (`data/processed_traces`), LLMServingSim
    /// (`dataset/example_trace.jsonl` and its agentic sessions), GuideLLM (`docs/guides/datasets.md`,
    /// `trace_file_formats.md`), inference-perf (`docs/tracegen.md`), Qwen-Bailian (`README.md`), Mooncake, the
    /// `usage` of OpenAI's API.
    const fn known_names(self) -> &'static [&'static str] {
        match self {
            Self::Time => &[
                "timestamp",
                "arrivedat",
                "arrivaltime",
                "arrival",
                "arrivaltimestamp",
                "requesttime",
                "requeststarttime",
                "sendtime",
                "starttime",
                "startedat",
                "start",
                "createdat",
                "created",
                "datetime",
                "time",
                "ts",
                "date",
            ],
            Self::Prompt => &[
                "prompttokens",
                "inputtokens",
                "inputlength",
                "inputlen",
                "promptlength",
                "promptlen",
                "numprefilltokens",
                "numprompttokens",
                "numinputtokens",
                "contexttokens",
                "requesttokens",
                "inputtoks",
                "prompttokenscount",
                "prompttokencount",
                "inputtokencount",
                "prefilltokens",
                "isl",
            ],
            Self::Output => &[
                "outputtokens",
                "completiontokens",
                "generatedtokens",
                "outputlength",
                "outputlen",
                "completionlength",
                "numdecodetokens",
                "numoutputtokens",
                "responsetokens",
                "outputtoks",
                "outputtokenscount",
                "outputtokencount",
                "completiontokencount",
                "generatedlength",
                "decodetokens",
                "osl",
            ],
            Self::Session => &["sessionid", "session", "conversationid", "conversation", "convid", "threadid"],
            Self::Id => &["chatid", "requestid", "id"],
            Self::Parent => &["parentchatid", "parentrequestid", "parentid", "parent"],
            Self::Delay => &["thinktime", "delay", "delaytime"],
            Self::Pause => &["toolduration", "tooltime", "pause"],
            Self::Hashes => &["hashids", "blockhashes", "inputhashids", "blockids"],
            Self::Tokens => &["inputtokids", "prompttokenids", "inputtokenids", "inputids"],
            Self::Prefix => &["sharedprefixid", "prefixid", "prefixgroup"],
            Self::PrefixLen => &["sharedprefixlength", "sharedprefixlen", "prefixlength", "prefixlen", "prefixtokens"],
            Self::Suffix => &["tailinputlength", "suffixlength", "suffixlen"],
            Self::Priority => &["priority"],
            Self::Turns => &["subrequests"],
        }
    }
}

/// Names of columns by their roles, as somebody said them: `--columns`. What is not said is found by its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnNames(BTreeMap<Role, String>);

impl ColumnNames {
    /// Reads `time=Timestamp,prompt=ContextTokens`.
    ///
    /// # Errors
    /// [`WorkloadError::Option`] if a part is no role and name, or a role comes twice.
    pub fn parse(text: &str) -> Result<Self, WorkloadError> {
        const NEED: &str = "ROLE=COLUMN, commas between them; roles are time, prompt, output, session, id, parent, delay, \
                            pause, hashes, tokens, prefix, prefix-len, suffix, priority, turns";
        let mut names = BTreeMap::new();
        for part in text.split(',') {
            let role_and_name = part.split_once('=').and_then(|(role, name)| {
                let role = Role::ALL.into_iter().find(|known| known.name() == role.trim())?;
                Some((role, name.trim())).filter(|(_, name)| !name.is_empty())
            });
            let Some((role, name)) = role_and_name else {
                return Err(WorkloadError::option("columns", part, NEED));
            };
            if names.insert(role, name.to_string()).is_some() {
                return Err(WorkloadError::option("columns", part, "a role only once"));
            }
        }
        Ok(Self(names))
    }

    /// What of them is said of the turns within a row, which have the keys `present`.
    pub(super) fn of_turns(&self, present: &[&str]) -> Self {
        let of_turns = self.0.iter().filter(|(_, name)| present.contains(&name.as_str()));
        Self(of_turns.map(|(role, name)| (*role, name.clone())).collect())
    }
}

/// The columns of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    /// Name of each role's column, by [`Role::index`].
    names: [Option<String>; Role::ALL.len()],
}

impl Columns {
    /// Finds the columns among `present`, those of the header or of the object in line `line`.
    pub(super) fn find(present: &[&str], said: &ColumnNames, line: u64) -> Result<Self, WorkloadError> {
        let mut columns = Self { names: Default::default() };
        let is_there = |name: &String| present.iter().any(|column| column.trim() == name);
        let has_turns = said.0.get(&Role::Turns).map_or(known(Role::Turns, present).is_some(), is_there);
        for role in Role::ALL {
            let found = match said.0.get(&role) {
                // It is one of the turns'.
                Some(name) if has_turns && !is_there(name) => None,
                Some(name) => {
                    let found = present.iter().find(|column| column.trim() == name);
                    Some(*found.ok_or_else(|| no_such_column(line, role, name, present))?)
                }
                None => known(role, present),
            };
            columns.names[role.index()] = found.map(|name| name.trim().to_string());
        }
        if columns.name(Role::Parent).is_none() && !said.0.contains_key(&Role::Id) {
            // A number of the request says nothing where nobody refers to it.
            columns.names[Role::Id.index()] = None;
        }
        Ok(columns)
    }

    /// Whether these say how long prompts and outputs are.
    pub(super) fn are_enough(&self) -> bool {
        self.has_prompt() && self.name(Role::Output).is_some() || self.name(Role::Turns).is_some()
    }

    fn has_prompt(&self) -> bool {
        [Role::Prompt, Role::Suffix, Role::Tokens].into_iter().any(|role| self.name(role).is_some())
    }

    /// Refuses a table that does not say how long prompts and outputs are.
    pub(super) fn check(&self, present: &[&str], line: u64) -> Result<(), WorkloadError> {
        if self.are_enough() {
            return Ok(());
        }
        let (what, role) = if self.has_prompt() { ("an output", "output") } else { ("a prompt", "prompt") };
        let message = alloc::format!(
            "no column is known to be the length of {what} in tokens; the columns are {}. Say which it is: --columns \
             {role}=COLUMN",
            listed(present)
        );
        Err(WorkloadError::Syntax { line, message })
    }

    /// Name of the role's column, if there is one.
    pub(super) fn name(&self, role: Role) -> Option<&str> {
        self.names[role.index()].as_deref()
    }
}

fn no_such_column(line: u64, role: Role, name: &str, present: &[&str]) -> WorkloadError {
    let message = alloc::format!(
        "--columns says {}={}, and there is no such column; the columns are {}",
        role.name(),
        excerpt(name),
        listed(present)
    );
    WorkloadError::Syntax { line, message }
}

/// Column names in a sentence, not more of them than anybody reads.
fn listed(present: &[&str]) -> String {
    const MOST: usize = 20;
    let mut names: Vec<String> = present.iter().take(MOST).map(|name| excerpt(name.trim())).collect();
    if present.len() > MOST {
        names.push(alloc::format!("and {} more", present.len() - MOST));
    }
    names.join(", ")
}

fn excerpt(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(40).collect()
}

/// The first column of a name that says `role`.
fn known<'a>(role: Role, present: &[&'a str]) -> Option<&'a str> {
    let is = |column: &str, name: &str| {
        let whole = plain(column);
        whole == name || role.is_time() && plain(without_unit(column).0) == name
    };
    role.known_names().iter().find_map(|name| present.iter().find(|column| is(column, name)).copied())
}

/// Small letters and digits only.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// A name and the unit it ends in, such as that of `arrival_time_ns`.
pub(super) fn without_unit(name: &str) -> (&str, Option<TimeUnit>) {
    use TimeUnit::{Microseconds, Milliseconds, Nanoseconds, Seconds};
    const ENDS: [(&str, TimeUnit); 10] = [
        ("ns", Nanoseconds),
        ("us", Microseconds),
        ("ms", Milliseconds),
        ("s", Seconds),
        ("sec", Seconds),
        ("secs", Seconds),
        ("seconds", Seconds),
        ("milliseconds", Milliseconds),
        ("microseconds", Microseconds),
        ("nanoseconds", Nanoseconds),
    ];
    let name = name.trim().trim_end_matches([')', ']']);
    let Some((before, end)) = name.rsplit_once(['_', ' ', '-', '.', '(', '[']) else { return (name, None) };
    let unit = ENDS.iter().find(|(text, _)| end.eq_ignore_ascii_case(text)).map(|(_, unit)| *unit);
    if unit.is_some() { (before, unit) } else { (name, None) }
}
