//! The rows of the tables: flags by the kind of their value.

use super::spec::FlagSpec;
use super::values::ValueKind;

type Row = FlagSpec<'static>;
type Words = &'static [&'static str];

/// A flag without a value.
pub(super) const fn plain(name: &'static str) -> Row {
    FlagSpec::plain(name)
}

/// A flag without a value that can be turned off.
pub(super) const fn switch(name: &'static str) -> Row {
    FlagSpec::switch(name)
}

/// Any text.
pub(super) const fn text(name: &'static str) -> Row {
    FlagSpec::text(name)
}

/// One of these words.
pub(super) const fn choice(name: &'static str, choices: Words) -> Row {
    FlagSpec::text(name).of(choices)
}

/// One of these words in any case, with `-` or `_`.
pub(super) const fn any_case(name: &'static str, choices: Words) -> Row {
    FlagSpec::text(name).read_as(ValueKind::AnyCase).of(choices)
}

/// See [`ValueKind::Integer`].
pub(super) const fn integer(name: &'static str) -> Row {
    FlagSpec::text(name).read_as(ValueKind::Integer)
}

/// See [`ValueKind::Number`].
pub(super) const fn number(name: &'static str) -> Row {
    FlagSpec::text(name).read_as(ValueKind::Number)
}

/// See [`ValueKind::HumanInteger`].
pub(super) const fn human(name: &'static str) -> Row {
    FlagSpec::text(name).read_as(ValueKind::HumanInteger)
}

/// See [`ValueKind::HumanIntegerOrAuto`].
pub(super) const fn human_or_auto(name: &'static str) -> Row {
    FlagSpec::text(name).read_as(ValueKind::HumanIntegerOrAuto)
}

/// See [`ValueKind::Json`].
pub(super) const fn json(name: &'static str) -> Row {
    FlagSpec::text(name).read_as(ValueKind::Json)
}

/// See [`ValueKind::Object`].
pub(super) const fn object(name: &'static str) -> Row {
    FlagSpec::text(name).read_as(ValueKind::Object)
}

/// See [`ValueKind::ObjectOrText`].
pub(super) const fn object_or_text(name: &'static str) -> Row {
    FlagSpec::text(name).read_as(ValueKind::ObjectOrText)
}
