//! Workload & SLO: what is sent and when, and what is expected of the answers.

use leptos::prelude::*;
use sim_core::scenario::{DatasetName, Part, Scenario};

use super::engine_card::{Changed, ResetAll};
use super::field::{FlagField, Refill, fields_soon};
use super::icons::{CLOSE, Icon};
use super::objectives_row::ObjectivesRow;
use super::panels::Card;
use super::workload_fields::{WorkloadFields, all_fields, fields, strays};
use crate::components::live::{Soon, When, heard, live};
use crate::html;
use crate::presets::{PRESETS, Preset};
use crate::state::AppState;

/// Flags of the report that have fields of their own; the objectives are the third.
const REPORT: [&str; 2] = ["metric-percentiles", "percentile-metrics"];

/// The card.
#[component]
pub(super) fn WorkloadCard() -> impl IntoView {
    let state = expect_context::<AppState>();
    let num_changed = Memo::new(move |_| {
        state.scenario.with(|scenario| {
            scenario.given().filter(|(flag, _)| matches!(flag.part, Part::Workload | Part::Report)).count()
        })
    });
    let shown = Memo::new(move |_| state.scenario.with(fields));
    let num_changed_more = Memo::new(move |_| {
        let is_given = |name: &&str| state.scenario.with(|scenario| scenario.value_of(name).is_some());
        shown.with(|shown| shown.more.iter().copied().chain(REPORT).filter(is_given).count())
    });
    let aside = move || view! { <Changed count=num_changed/> };
    let all = all_fields();
    view! {
        <Card title="Workload & SLO" testid="card-workload" aside>
            <PresetPicker/>
            <DatasetPicker/>
            <DatasetChip/>
            {fields_of(all.basic, shown, |shown| &shown.basic)}
            <Strays/>
            <ObjectivesRow/>
            <details class="more" data-testid="workload-more">
                <summary>"More of the workload and the report" <Changed count=num_changed_more/></summary>
                <div class="settings">
                    {fields_of(all.more, shown, |shown| &shown.more)}
                    {fields_soon(REPORT.into_iter())}
                </div>
            </details>
            <ResetAll part=Part::Workload count=num_changed/>
        </Card>
    }
}

/// Fields of these flags, each while what is shown has it: those that stay are left alone, somebody may be typing there.
fn fields_of(
    names: Vec<&'static str>,
    shown: Memo<WorkloadFields>,
    list: fn(&WorkloadFields) -> &Vec<&'static str>,
) -> AnyView {
    let field = |name: &'static str| {
        let is_shown = Signal::derive(move || shown.with(|shown| list(shown).contains(&name)));
        view! { <When when=is_shown><Soon><FlagField name/></Soon></When> }
    };
    names.into_iter().map(field).collect_view().into_any()
}

/// Whether the form says what the preset says, and no more, of workload and report.
fn is_preset(scenario: &Scenario, preset: &Preset) -> bool {
    let given: Vec<(&str, &str)> = scenario
        .given()
        .filter(|(flag, _)| matches!(flag.part, Part::Workload | Part::Report))
        .map(|(flag, value)| (flag.name, value))
        .collect();
    given.len() == preset.flags.len() && given.iter().all(|flag| preset.flags.contains(flag))
}

/// The place of the preset that the form shows.
fn current_preset(scenario: &Scenario) -> Option<usize> {
    PRESETS.iter().position(|preset| is_preset(scenario, preset))
}

#[component]
fn PresetPicker() -> impl IntoView {
    let state = expect_context::<AppState>();
    let refill = expect_context::<Refill>();
    let current = Memo::new(move |_| {
        let has_file = state.dataset.with(Option::is_some);
        state.scenario.with(current_preset).filter(|_| !has_file)
    });
    let changed = move |event: leptos::ev::Event| {
        let preset = event_target_value(&event).parse::<usize>().ok().and_then(|place| PRESETS.get(place));
        if let Some(preset) = preset {
            state.edit(move |editing| {
                (editing.load_preset)(state, preset);
                refill.all();
            });
        }
    };
    let about = move || current.get().and_then(|place| PRESETS.get(place)).map_or("Your own workload", |p| p.about);
    let choices = Memo::new(move |_| {
        let current = current.get();
        let presets = PRESETS.iter().enumerate();
        let presets =
            presets.map(|(place, preset)| html::option(&place.to_string(), preset.name, current == Some(place)));
        html::option_off("", "none of these", current.is_none()) + &presets.collect::<String>()
    });
    view! {
        <div class="field">
            <label class="field-label" for="preset-select">"Example workload"</label>
            <select
                id="preset-select" data-testid="preset-select" aria-describedby="preset-about" on:change=changed
                inner_html=choices
            ></select>
            <p class="field-help" id="preset-about">{live(about)}"."</p>
        </div>
    }
}

/// A dataset in words.
const fn told(dataset: DatasetName) -> &'static str {
    match dataset {
        DatasetName::Random => "random: stated lengths",
        DatasetName::PrefixRepetition => "prefix_repetition: shared prefixes",
        DatasetName::ShareGpt => "sharegpt: needs a tokenizer, command line only",
        DatasetName::Custom => "custom: needs a tokenizer, command line only",
        DatasetName::BurstGpt => "burstgpt: lengths of a CSV file",
        DatasetName::TimedTrace => "timed_trace: Mooncake and the like, a file",
        DatasetName::Azure => "azure: recorded times and lengths",
        DatasetName::BurstGptTimed => "burstgpt_timed: times and lengths of a CSV file",
        DatasetName::Table => "table: any CSV or JSON lines of yours, a file",
        DatasetName::Sessions => "sessions: conversations and agents",
        DatasetName::Mixture => "mixture: classes of requests, a file",
    }
}

#[component]
fn DatasetPicker() -> impl IntoView {
    let state = expect_context::<AppState>();
    let current = Memo::new(move |_| state.scenario.with(|scenario| scenario.workload().dataset_name()));
    let changed = move |event: leptos::ev::Event| {
        let Some(dataset) = DatasetName::from_name(&event_target_value(&event)) else { return };
        state.edit(move |editing| (editing.choose_dataset)(state, dataset));
    };
    let need = move || {
        let has_file = state.dataset.with(Option::is_some);
        match current.get() {
            DatasetName::Azure if !has_file => {
                "Runs the first 1,000 conversations of 2023, which the page has. Drop a file for another trace."
            }
            dataset if dataset.needs_tokenizer() => {
                "Its prompts are texts, whose lengths only a tokenizer knows: profiler simulate --tokenizer."
            }
            dataset if dataset.needs_file() && !has_file => {
                "Needs its file: drop it anywhere on the page, or press Open."
            }
            _ => "",
        }
    };
    let choices = Memo::new(move |_| {
        let current = current.get();
        let option = |dataset: DatasetName| {
            let is_it = dataset == current;
            let option = if dataset.needs_tokenizer() && !is_it { html::option_off } else { html::option };
            option(dataset.name(), told(dataset), is_it)
        };
        DatasetName::ALL.map(option).concat()
    });
    view! {
        <div class="field setting setting-wide">
            <label class="setting-name" for="field-dataset-name">
                <span class="setting-plain">"Dataset"</span>
                <span class="field-flag">"--dataset-name"</span>
            </label>
            <div class="setting-control">
                <select
                    id="field-dataset-name" data-testid="field-dataset-name" aria-describedby="dataset-need"
                    on:change=changed inner_html=choices
                ></select>
            </div>
            <p class="field-help setting-note" id="dataset-need">{live(need)}</p>
        </div>
    }
}

/// The file that was dropped.
#[component]
fn DatasetChip() -> impl IntoView {
    let state = expect_context::<AppState>();
    live(move || {
        state.dataset.get().map(|file| {
            view! {
                <div class="file-chip" data-testid="dataset-chip">
                    <span class="file-chip-text">
                        <strong>{file.name}</strong>
                        <span class="muted">{file.summary}</span>
                    </span>
                    <button
                        type="button" class="btn btn-ghost btn-icon" aria-label="Remove the dataset's file"
                        data-testid="dataset-remove" on:click=heard(move |_| state.edit(move |editing| (editing.clear_dataset)(state)))
                    >
                        <Icon shape=CLOSE/>
                    </button>
                </div>
            }
        })
    })
}

/// Flags that are given without a field: they may be why a run is refused, so they can be seen and removed.
#[component]
fn Strays() -> impl IntoView {
    let state = expect_context::<AppState>();
    let given = Memo::new(move |_| state.scenario.with(strays));
    view! {
        <When when=Signal::derive(move || given.with(|given| !given.is_empty()))>
            <ul class="strays" aria-label="Other flags that are given" data-testid="strays">
                {live(move || given.get().into_iter().map(|stray| view! {
                    <li>
                        <span class="mono">{format!("--{} {}", stray.0, stray.1)}</span>
                        <button
                            type="button" class="btn btn-ghost btn-icon" data-testid=format!("reset-{}", stray.0)
                            aria-label=format!("Remove --{}", stray.0) on:click=heard(move |_| state.edit(move |editing| (editing.unset_flag)(state, stray.0)))
                        >
                            <Icon shape=CLOSE/>
                        </button>
                    </li>
                }).collect_view())}
            </ul>
        </When>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_is_recognised_until_something_is_changed() {
        for (place, preset) in PRESETS.iter().enumerate() {
            let flags = preset.flags.iter().map(|(name, value)| (*name, Some(*value)));
            let mut scenario = Scenario::from_flags(flags).expect("a valid preset");
            assert_eq!(current_preset(&scenario), Some(place), "{}", preset.name);
            scenario.set("max-num-seqs", Some("64")).expect("a valid flag");
            assert_eq!(current_preset(&scenario), Some(place), "{}: the engine is none of it", preset.name);
            scenario.set("seed", Some("7")).expect("a valid flag");
            assert_eq!(current_preset(&scenario), None, "{}: another seed", preset.name);
        }
        assert_eq!(current_preset(&Scenario::default()), None, "nothing given");
    }
}
