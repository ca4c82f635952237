//! Sessions, of the flags.

use super::ScenarioError;
use crate::config::flags::FlagError;
use crate::workload::draw::Draw;
use crate::workload::sessions::Sessions;

/// What sessions are made of; each `None` until given.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct SessionArgs {
    num_sessions: Option<u32>,
    num_users: Option<u32>,
    system_prompt_len: Option<u32>,
    draws: [Option<Draw>; Self::DRAWS.len()],
}

impl SessionArgs {
    /// The flags whose values are drawn, and their options' names.
    const DRAWS: [(&'static str, &'static str); 8] = [
        ("session-turns", "session_turns"),
        ("session-prefix-len", "session_prefix_len"),
        ("session-input-len", "session_input_len"),
        ("session-output-len", "session_output_len"),
        ("think-time", "think_time"),
        ("tool-calls", "tool_calls"),
        ("tool-time", "tool_time"),
        ("tool-output-len", "tool_output_len"),
    ];

    /// Sets the field of flag `name` from its text; false if the flag is none of these.
    pub(super) fn set(&mut self, name: &'static str, text: &str) -> Result<bool, ScenarioError> {
        if let Some(place) = Self::DRAWS.iter().position(|(flag, _)| *flag == name) {
            self.draws[place] = Some(Draw::parse(Self::DRAWS[place].1, text)?);
            return Ok(true);
        }
        let field = match name {
            "num-sessions" => &mut self.num_sessions,
            "num-users" => &mut self.num_users,
            "system-prompt-len" => &mut self.system_prompt_len,
            _ => return Ok(false),
        };
        let expected = "a whole number from 0 to 4294967295";
        let wrong = || FlagError::value(&alloc::format!("--{name}"), text, expected);
        *field = Some(text.parse().ok().ok_or_else(wrong)?);
        Ok(true)
    }

    /// The first of these flags that was given, without dashes.
    pub(super) fn given(&self) -> Option<&'static str> {
        let counts = [
            ("num-users", self.num_users.is_some()),
            ("num-sessions", self.num_sessions.is_some()),
            ("system-prompt-len", self.system_prompt_len.is_some()),
        ];
        let count = counts.into_iter().find(|(_, is_given)| *is_given).map(|(name, _)| name);
        let drawn = || Self::DRAWS.iter().zip(&self.draws).find(|(_, draw)| draw.is_some()).map(|((name, _), _)| *name);
        count.or_else(drawn)
    }

    /// The sessions.
    pub(super) fn sessions(&self) -> Sessions {
        let defaults = Sessions::default();
        let [turns, prefix_len, input_len, output_len, think_time, tool_calls, tool_time, tool_output_len] = self.draws;
        Sessions {
            num_sessions: self.num_sessions.unwrap_or(defaults.num_sessions),
            num_users: self.num_users,
            session_turns: turns.unwrap_or(defaults.session_turns),
            system_prompt_len: self.system_prompt_len.unwrap_or(defaults.system_prompt_len),
            session_prefix_len: prefix_len.unwrap_or(defaults.session_prefix_len),
            session_input_len: input_len.unwrap_or(defaults.session_input_len),
            session_output_len: output_len.unwrap_or(defaults.session_output_len),
            think_time: think_time.unwrap_or(defaults.think_time),
            tool_calls: tool_calls.unwrap_or(defaults.tool_calls),
            tool_time: tool_time.unwrap_or(defaults.tool_time),
            tool_output_len: tool_output_len.unwrap_or(defaults.tool_output_len),
        }
    }
}
