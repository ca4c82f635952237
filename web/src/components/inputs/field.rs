//! One flag of the form: plain name, vLLM's name, control, what it does, what holds without it, what is wrong.

use leptos::prelude::*;
use sim_core::scenario::{Flag, Form, Part};
use wasm_bindgen::JsCast;

use super::choice_field::ChoiceControl;
use super::defaults::Defaults;
use super::faults::Faults;
use super::icons::{Icon, RESET};
use super::words::plain_name;
use super::workload_fields::flag;
use crate::components::live::{Soon, When, live};
use crate::engine_values::Told;
use crate::state::AppState;

/// Bumped when the whole form is filled anew: fields then forget what was typed and refused.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refill(pub(super) RwSignal<u32>);

impl Refill {
    pub(super) fn all(self) {
        self.0.update(|count| *count = count.wrapping_add(1));
    }
}

/// What a field and its control share.
#[derive(Debug, Clone, Copy)]
pub(super) struct FieldState {
    state: AppState,
    pub(super) flag: &'static Flag,
    /// As the form has it.
    pub(super) given: Memo<Option<String>>,
    /// What holds if it is not given.
    pub(super) default: Memo<Told>,
    /// What is wrong with what was typed last.
    pub(super) error: RwSignal<Option<String>>,
    /// What is wrong with what the form has, although it is a value of the flag's type.
    fault: Memo<Option<String>>,
}

impl FieldState {
    pub(super) fn id(self) -> String {
        format!("field-{}", self.flag.name)
    }

    fn help_id(self) -> String {
        format!("{}-help", self.id())
    }

    fn error_id(self) -> String {
        format!("{}-error", self.id())
    }

    /// Ids of what describes the control.
    pub(super) fn described_by(self) -> String {
        if self.is_invalid() { format!("{} {}", self.error_id(), self.help_id()) } else { self.help_id() }
    }

    /// Whether there is something wrong with it.
    pub(super) fn is_invalid(self) -> bool {
        self.error.with(Option::is_some) || self.fault.with(Option::is_some)
    }

    /// Takes what was typed; what is refused changes nothing.
    pub(super) fn take(self, value: &str) {
        let (state, name, error, value) = (self.state, self.flag.name, self.error, value.to_owned());
        state.edit(move |editing| {
            // The field may be gone by then.
            error.try_set((editing.set_flag)(state, name, &value).err());
        });
    }
}

/// A flag by its name. One that does not exist shows nothing.
#[component]
pub(super) fn FlagField(name: &'static str) -> impl IntoView {
    flag(name).map(|flag| view! { <Field flag/> })
}

/// Fields that are made in one task: more would hold the page's thread.
const FIELDS_A_TASK: usize = 4;

/// Fields of many flags, a few in a task.
pub(super) fn fields_soon(names: impl Iterator<Item = &'static str>) -> AnyView {
    let names: Vec<&'static str> = names.collect();
    let few = |names: &[&'static str]| {
        let names = names.to_vec();
        view! { <Soon>{names.iter().map(|name| view! { <FlagField name/> }).collect_view()}</Soon> }
    };
    names.chunks(FIELDS_A_TASK).map(few).collect_view().into_any()
}

#[component]
fn Field(flag: &'static Flag) -> impl IntoView {
    let state = expect_context::<AppState>();
    let given = Memo::new(move |_| state.scenario.with(|scenario| scenario.value_of(flag.name).map(str::to_owned)));
    let (defaults, faults): (Defaults, Faults) = (expect_context(), expect_context());
    let default = Memo::new(move |_| defaults.of(flag));
    let error = RwSignal::new(None::<String>);
    // What was typed and refused hides what the form has.
    let fault = Memo::new(move |_| {
        let is_typed_right = error.with(Option::is_none);
        given.with(|given| is_typed_right.then(|| faults.at(flag.name, given.as_deref())).flatten())
    });
    let field = FieldState { state, flag, given, default, error, fault };
    let is_changed = move || given.with(Option::is_some);
    let reset = move |_| {
        field.error.set(None);
        state.edit(move |editing| (editing.unset_flag)(state, flag.name));
        // The button goes.
        focus(&field.id());
    };
    let is_wide = flag.name.starts_with("timed-trace-label") || matches!(flag.name, "percentile-metrics" | "columns");
    view! {
        <div class="field setting" class:setting-wide=is_wide class:setting-changed=is_changed>
            <label class="setting-name" for=field.id()>
                <span class="setting-plain">
                    {plain_name(flag.name)}
                    <When when=Signal::derive(is_changed)><span class="visually-hidden">" (changed)"</span></When>
                </span>
                <span class="field-flag">"--"{flag.name}</span>
            </label>
            <div class="setting-control">
                {match flag.form {
                    Form::Switch | Form::Choice(_) => view! { <ChoiceControl field/> }.into_any(),
                    _ => view! { <TextControl field/> }.into_any(),
                }}
                <When when=Signal::derive(is_changed)>
                    <button
                        type="button" class="btn btn-ghost btn-icon setting-reset" data-testid=format!("reset-{}", flag.name)
                        aria-label=format!("Reset {} to its default", plain_name(flag.name)) title="Reset to the default"
                        on:click=reset
                    >
                        <Icon shape=RESET/>
                    </button>
                </When>
            </div>
            <p class="field-help setting-note" id=field.help_id()>{live(move || help(state, field))}</p>
            <div aria-live="polite" class="setting-note">{live(move || field.error.get().map(|error| said(field, error)))}</div>
            // Spoken already where the run's or the engine's fault is told.
            <div class="setting-note">{live(move || field.fault.get().map(|fault| said(field, fault)))}</div>
        </div>
    }
}

fn said(field: FieldState, error: String) -> impl IntoView {
    view! { <p class="field-error" id=field.error_id() data-testid=format!("error-{}", field.flag.name)>{error}</p> }
}

/// What the flag does, what holds without it and why, what became of it.
fn help(state: AppState, field: FieldState) -> String {
    let mut text = format!("{}.", field.flag.help);
    field.default.with(|told| match (told.value.is_empty(), told.why.is_empty()) {
        (false, false) => text.push_str(&format!(" Default {}: {}.", told.value, told.why)),
        (false, true) => text.push_str(&format!(" Default: {}.", told.value)),
        (true, false) => text.push_str(&format!(" Default: {}.", told.why)),
        (true, true) => {}
    });
    if field.flag.part == Part::Engine && field.given.with(Option::is_some) {
        let said = state.engine.with(|engine| {
            let engine = engine.as_ref()?.as_ref().ok()?;
            state.profile.with(|choice| choice.as_ref()?.overridden(field.flag.name, engine))
        });
        if let Some(said) = said {
            text.push_str(&format!(" {said}."));
        }
    }
    text
}

/// A number or a text. What was typed and refused stays to be mended.
#[component]
fn TextControl(field: FieldState) -> impl IntoView {
    let Refill(refill) = expect_context();
    let text = RwSignal::new(String::new());
    let seen = StoredValue::new(0_u32);
    Effect::new(move |before: Option<String>| {
        let given = field.given.get().unwrap_or_default();
        let is_refilled = refill.get() != seen.get_value();
        seen.set_value(refill.get_untracked());
        // What was refused stays to be mended, unless the form has got another value since.
        let may_follow = field.error.with(Option::is_none) || before.is_none_or(|before| before != given);
        if is_refilled || (may_follow && text.with_untracked(|text| text.trim() != given)) {
            text.set(given.clone());
            if field.error.with_untracked(Option::is_some) {
                field.error.set(None);
            }
        }
        given
    });
    let mode = match (field.flag.form, field.flag.name) {
        // These take words too: auto, inf, -1.
        (_, "max-model-len" | "custom-output-len" | "request-rate" | "burstiness") => "text",
        (Form::Integer, _) => "numeric",
        (Form::Number, _) => "decimal",
        _ => "text",
    };
    let typed = move |event: leptos::ev::Event| {
        let value = event_target_value(&event);
        text.set(value.clone());
        field.take(&value);
    };
    view! {
        <input
            type="text" id=field.id() data-testid=field.id() inputmode=mode autocomplete="off" autocapitalize="off"
            spellcheck="false" prop:value=text placeholder=move || field.default.with(placeholder)
            aria-describedby=move || field.described_by()
            aria-invalid=move || field.is_invalid().then_some("true") on:input=typed
        />
    }
}

/// The value that holds without the flag, without what is said about exceptions.
fn placeholder(told: &Told) -> String {
    told.value.split(';').next().unwrap_or_default().to_owned()
}

/// Gives the focus to the element of this id.
pub(super) fn focus(id: &str) {
    let element = document().get_element_by_id(id).and_then(|e| e.dyn_into::<web_sys::HtmlElement>().ok());
    if let Some(element) = element {
        element.focus().ok();
    }
}
