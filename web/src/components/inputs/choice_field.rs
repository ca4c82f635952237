//! A flag of few values: one of some words, or on, off, and as vLLM has it.

use leptos::prelude::*;
use sim_core::scenario::Form;

use super::field::FieldState;
use crate::html;

/// Value and name of each choice but the default.
fn choices(form: Form) -> Vec<(&'static str, &'static str)> {
    match form {
        Form::Switch => vec![("true", "on"), ("false", "off")],
        Form::Choice(words) => words.iter().map(|word| (*word, *word)).collect(),
        _ => Vec::new(),
    }
}

/// The first choice is the default, with its value.
#[component]
pub(super) fn ChoiceControl(field: FieldState) -> impl IntoView {
    let given = field.given;
    let default = move || {
        field.default.with(|told| {
            // A default in words is told below.
            if told.value.is_empty() || told.value.contains(' ') {
                "default".to_owned()
            } else {
                format!("default ({})", told.value)
            }
        })
    };
    let options = Memo::new(move |_| {
        let given = given.get();
        let choices = choices(field.flag.form).into_iter();
        let choices = choices.map(|(value, name)| html::option(value, name, given.as_deref() == Some(value)));
        html::option("", &default(), given.is_none()) + &choices.collect::<String>()
    });
    view! {
        <select
            id=field.id() data-testid=field.id() aria-describedby=move || field.described_by()
            aria-invalid=move || field.is_invalid().then_some("true")
            on:change=move |event| field.take(&event_target_value(&event)) inner_html=options
        ></select>
    }
}
