//! A measurement beside the prediction: the error of each statistic.

use leptos::prelude::*;
use sim_core::scenario::check_same_model;

use super::compare::DeltaTable;
use super::compare_data::{Judgement, Setting, latencies, median_error, settings};
use super::parts::Shown;
use crate::components::live::{When, heard, live};
use crate::detail::MeasuredRun;
use crate::format::{grouped, percent};
use crate::making::known_models;
use crate::state::{AppState, Run};

/// The card, if a measurement was dropped.
#[component]
pub(crate) fn MeasuredCard(
    /// The answer.
    shown: Shown,
) -> impl IntoView {
    let state = expect_context::<AppState>();
    let has_measured = Memo::new(move |_| state.measured.with(Option::is_some));
    let title = move || {
        let is_simulated = state.measured.with(|run| run.as_ref().is_some_and(|run| run.is_simulated));
        if is_simulated { "File (simulated) and prediction" } else { "Measured and predicted" }
    };
    view! {
        <When when=Signal::derive(move || has_measured.get())>
            <section class="card" aria-labelledby="measured-title" data-testid="measured">
                <div class="card-title">
                    <h3 id="measured-title">{title}</h3>
                    <div class="toolbar">
                        <button type="button" class="btn" data-testid="remove-measured" on:click=heard(move |_| state.clear_measured())>
                            "Remove"
                        </button>
                    </div>
                </div>
                <div class="card-body">
                    {live(move || {
                        shown.get();
                        state.measured.with(|measured| state.current.with(|run| {
                            let measured = measured.as_deref()?;
                            Some((other_model(&measured.model, state), against(measured, run.as_ref()?)))
                        }))
                    })}
                </div>
            </section>
        </When>
    }
}

/// That the file was measured with another model than the profile's, or what only the server's flags could tell. Nothing
/// while the list of models is not there.
fn other_model(model: &str, state: AppState) -> impl IntoView + use<> {
    let told = known_models().filter(|_| !model.is_empty()).and_then(|known| {
        match check_same_model(model, &state.profile.get()?.profile, &known.list) {
            Ok(doubt) => doubt.map(|doubt| doubt.to_string()),
            Err(other) => Some(format!("Measured with {other}.")),
        }
    });
    told.map(|told| view! { <p class="notice notice-warn" data-testid="measured-model">{told}</p> })
}

fn against(measured: &MeasuredRun, run: &Run) -> impl IntoView + use<> {
    let error = median_error(&measured.metrics, &run.answer.metrics);
    let error = error.map_or_else(
        || "The file has no statistic that can be compared.".to_owned(),
        |(count, error)| {
            format!("Median absolute error of the prediction: {} over {count} statistics.", percent(error))
        },
    );
    let failed = match measured.failed {
        0 => String::new(),
        failed => format!(", {} failed", grouped(sim_core::math::u64_to_f64(failed))),
    };
    let about = format!(
        "{}: {} requests answered{failed}. {}",
        measured.file,
        grouped(sim_core::math::u64_to_f64(measured.completed)),
        measured.title
    );
    let mut groups = latencies(&measured.metrics, &run.answer.metrics);
    // An error is an error, whichever way.
    groups.iter_mut().flat_map(|group| &mut group.lines).for_each(|line| line.judgement = Judgement::Same);
    let has_curves = measured.metrics.iter().any(|metric| !metric.ecdf.is_empty());
    view! {
        {measured.is_simulated.then(|| view! {
            <p class="notice notice-warn" data-testid="measured-is-simulated">
                "This file says that it was itself simulated: it measures nothing."
            </p>
        })}
        <p><b data-testid="measured-error">{error}</b></p>
        <p class="muted">{about}</p>
        {measured.notes.iter().map(|note| view! { <p class="muted">{note.clone()}</p> }).collect_view()}
        {(!has_curves).then(|| view! {
            <p class="muted">"The file has statistics only, no curve can be drawn: save it with --save-detailed."</p>
        })}
        <Settings all=settings(measured, run)/>
        <DeltaTable groups columns=["Measured", "Predicted", "error", "relative"] label="Measurement, prediction and error" testid="measured-table"/>
    }
}

/// The loads, which must be alike for the errors to mean anything.
#[component]
fn Settings(all: Vec<Setting>) -> impl IntoView {
    let other: Vec<String> = all.iter().filter(|setting| setting.differs).map(|setting| setting.name.clone()).collect();
    view! {
        {(!other.is_empty()).then(|| view! {
            <p class="notice notice-warn" data-testid="measured-differs">
                {format!("The two runs differ in {}: the errors below are not those of the prediction alone.", other.join(", "))}
            </p>
        })}
        <div class="table-scroll" tabindex="0" role="region" aria-label="Settings of the measured run and of this one">
            <table class="table" data-testid="measured-settings">
                <thead>
                    <tr>
                        <th scope="col">"Setting"</th>
                        <th scope="col">"Measured"</th>
                        <th scope="col">"This run"</th>
                        <th scope="col" class="text"><span class="visually-hidden">"Equal or not"</span></th>
                    </tr>
                </thead>
                <tbody>
                    {all.into_iter().map(|setting| view! {
                        <tr class:setting-differs=setting.differs>
                            <th scope="row" class="mono">{setting.name}</th>
                            <td>{setting.measured}</td>
                            <td>{setting.ours}</td>
                            <td class="text">{if setting.differs { "≠ differs" } else { "equal" }}</td>
                        </tr>
                    }).collect_view()}
                </tbody>
            </table>
        </div>
    }
}
