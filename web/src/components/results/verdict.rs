//! The answer in sentences, and what it rests on.

use leptos::prelude::*;
use sim_core::profile::uncertainty::Grounds;
use sim_core::scenario::told;

use super::how_sure::{self, Sureness};
use super::parts::Shown;
use super::sentences;
use crate::answer::{Answer, ProfileCard, RangeAnswer};
use crate::components::live::{When, live};
use crate::format::{change, duration, percent, three_digits};
use crate::state::{AppState, Origin};

/// Whether objectives are met, what holds requests back, what to try.
#[component]
pub(crate) fn VerdictCard(
    /// The answer.
    shown: Shown,
) -> impl IntoView {
    let meets = shown.part(|answer| answer.verdict.meets.filter(|_| answer.num_finished > 0));
    let headline = shown.part_with_range(how_sure::headline);
    let is_open = shown.part_with_range(|answer, range| {
        range.is_some_and(|range| how_sure::sureness(answer, range) == Some(Sureness::Open))
    });
    let lines = shown.part_with_range(lines);
    let warnings = shown.part(|answer| answer.warnings.clone());
    view! {
        <div
            class="verdict"
            class:verdict-good=move || meets.get() == Some(true) && !is_open.get()
            class:verdict-bad=move || meets.get() == Some(false) && !is_open.get()
            class:verdict-open=move || meets.get().is_some() && is_open.get()
            data-testid="verdict"
        >
            <p class="verdict-headline" aria-live="polite" data-testid="verdict-headline">
                <span class="verdict-mark" aria-hidden="true">
                    {live(move || match meets.get() {
                        Some(_) if is_open.get() => "≈",
                        Some(true) => "✓",
                        Some(false) => "✗",
                        None => "–",
                    })}
                </span>
                <span>{headline}</span>
            </p>
            {live(move || lines.get().into_iter().map(|(class, label, text)| view! {
                <p class=format!("verdict-line {class}") data-testid=class>
                    {(!label.is_empty()).then(|| view! { <b>{label}</b> " " })}
                    {text}
                </p>
            }).collect_view())}
            {live(move || {
                let warnings = warnings.get();
                (!warnings.is_empty()).then(|| view! {
                    <ul class="verdict-warnings" aria-label="Warnings of the engine" data-testid="engine-warnings">
                        {warnings.into_iter().map(|warning| view! { <li>{warning}</li> }).collect_view()}
                    </ul>
                })
            })}
        </div>
    }
}

/// Class, label and text of the lines under the headline.
fn lines(answer: &Answer, range: Option<&RangeAnswer>) -> Vec<(&'static str, &'static str, String)> {
    let verdict = &answer.verdict;
    let certainty = range.filter(|_| answer.num_finished > 0).and_then(|range| how_sure::certainty(answer, range));
    let certainty = certainty.map(|(label, text)| ("verdict-certainty", label, text));
    let estimated = how_sure::estimated(answer).map(|text| ("verdict-estimated", "", text));
    let overload = sentences::overload(verdict).map(|text| ("verdict-overload", "", text));
    let limits = Some(("verdict-limits", "What binds:", sentences::limits(verdict)));
    let advice = verdict.advice.clone().map(|mut text| {
        if !text.ends_with('.') {
            text.push('.');
        }
        ("verdict-advice", "Try:", text)
    });
    let left_out = sentences::left_out(answer).map(|text| ("verdict-left-out", "", text));
    let rule = sentences::requirement(verdict).map(|text| ("verdict-rule", "", text));
    [certainty, estimated, overload, limits, advice, left_out, rule].into_iter().flatten().collect()
}

/// What the answer rests on.
#[component]
pub(crate) fn Provenance(
    /// The answer.
    shown: Shown,
) -> impl IntoView {
    let state = expect_context::<AppState>();
    let card = shown.part(|answer| answer.profile.clone());
    let is_own = move || {
        state
            .profile
            .with(|choice| choice.as_ref().is_some_and(|c| matches!(c.origin, Origin::Dropped(_) | Origin::Link)))
    };
    view! {
        <aside class="provenance" aria-label="What the answer rests on" data-testid="provenance">
            {live(move || {
                let card = card.get();
                let kind = kind_chip(&card);
                view! {
                    <p class="provenance-chips">
                        <span class="chip chip-warn" data-testid="simulated-chip">"SIMULATED, not measured"</span>
                        <span class=kind.0 title=kind.2 data-testid="kind-chip">{kind.1}</span>
                    </p>
                    <p>
                        <b>{card.model.clone()}</b> " on " <b>{card.hardware.clone()}</b>
                        <span class="muted provenance-line">
                            {format!("profile {}{}", card.name, if is_own() { " (yours)" } else { "" })}
                        </span>
                        <span class="muted provenance-line">
                            {format!("step times of vLLM {}", card.vllm_version)}
                            {(!card.date.is_empty()).then(|| view! { ", " <span class="nowrap">{card.date.clone()}</span> })}
                        </span>
                    </p>
                    <Evidence card=card.clone()/>
                    <p data-testid="validation">{sentences::validation(&card)}</p>
                    <Details card/>
                }
            })}
            <RangeToggle shown/>
        </aside>
    }
}

/// Whether to show how far figures may be off, and what says how far.
#[component]
fn RangeToggle(shown: Shown) -> impl IntoView {
    let state = expect_context::<AppState>();
    let has_range = Memo::new(move |_| state.has_range());
    let is_shown = Memo::new(move |_| state.shows_range());
    let said = move || {
        let stated = state.current.with(|run| run.as_ref()?.profile.stated_range());
        // Of an estimate the verdict says it.
        let stated = stated.filter(|stated| stated.grounds != Grounds::Estimate);
        let why = stated.map(|stated| format!("{}.", told::stated_range(&stated))).unwrap_or_default();
        let draws = shown.range().and_then(|range| how_sure::draws(&range)).unwrap_or_default();
        let awaited = if shown.is_range_awaited() { " Simulating both ends…" } else { "" };
        format!("{why}{draws}{awaited}")
    };
    view! {
        <When when=Signal::derive(move || has_range.get())>
            <div class="range-toggle">
                <label class="field-check">
                    <input
                        type="checkbox" data-testid="range-toggle" prop:checked=move || is_shown.get()
                        on:change=move |event| state.show_range(event_target_checked(&event))
                    />
                    <span>"Show how far this may be off"</span>
                </label>
                <p class="muted" data-testid="range-why">{said}</p>
            </div>
        </When>
    }
}

/// Class, text and meaning of the chip that says how the profile came about.
fn kind_chip(card: &ProfileCard) -> (&'static str, String, &'static str) {
    match card.kind.as_str() {
        "measured" => ("chip chip-good", "profile: measured".to_owned(), "Step times were timed on this hardware."),
        "derived" => (
            "chip chip-warn",
            "profile: derived".to_owned(),
            "Step times were computed from published measurements of other kinds, not timed pass by pass.",
        ),
        "estimated" => (
            "chip chip-bad",
            "profile: estimated".to_owned(),
            "Nobody measured this GPU: times are another's, moved by what the makers say of both.",
        ),
        kind => ("chip chip-warn", format!("profile: {kind}"), "Step times are made up, to show how the page works."),
    }
}

/// Of the device time, how much was measured, interpolated, extrapolated, estimated.
#[component]
fn Evidence(card: ProfileCard) -> impl IntoView {
    let parts = sentences::evidence(&card);
    let said: Vec<String> = parts.iter().map(|(name, share)| format!("{name} {}", percent(*share))).collect();
    let said = said.join(", ");
    view! {
        <div class="evidence" data-testid="evidence">
            <div class="evidence-bar" role="img" aria-label=format!("Share of the device time that was {said}")>
                {parts.iter().map(|(name, share)| view! {
                    <span class=format!("evidence-part evidence-{name}") style=format!("flex-grow:{share:.4}")></span>
                }).collect_view()}
            </div>
            <p class="evidence-legend muted" aria-hidden="true">
                "Step times: "
                {parts.into_iter().map(|(name, share)| view! {
                    <span class="evidence-key">
                        <i class=format!("evidence-part evidence-{name}")></i>
                        {format!("{} {name}", percent(share))}
                    </span>
                }).collect_view()}
            </p>
        </div>
    }
}

/// Errors of the validation, notes, sources.
#[component]
fn Details(card: ProfileCard) -> impl IntoView {
    let ProfileCard { validation_runs, notes, sources, .. } = card;
    if validation_runs.is_empty() && notes.is_empty() && sources.is_empty() {
        return ().into_any();
    }
    view! {
        <details class="provenance-more" data-testid="provenance-more">
            <summary>"How accurate is this? Notes and sources"</summary>
            {(!validation_runs.is_empty()).then(|| view! { <ValidationTable runs=validation_runs/> })}
            {(!notes.is_empty()).then(|| view! {
                <ul>{notes.into_iter().map(|note| view! { <li>{note}</li> }).collect_view()}</ul>
            })}
            {(!sources.is_empty()).then(|| view! {
                <p><b>"Sources"</b></p>
                <ul>{sources.into_iter().map(source).collect_view()}</ul>
            })}
        </details>
    }
    .into_any()
}

fn source([name, version, licence, address]: [String; 4]) -> impl IntoView {
    let about = [version, licence].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
    // Text that came in with a file: only an address of the web becomes a link.
    let is_web = address.starts_with("https://");
    view! {
        <li>
            {name} {(!about.is_empty()).then(|| format!(" ({about})"))} " "
            {if is_web {
                let shown = address.clone();
                view! { <a href=address rel="noreferrer noopener" target="_blank">{shown}</a> }.into_any()
            } else {
                address.into_any()
            }}
        </li>
    }
}

#[component]
fn ValidationTable(runs: Vec<(String, String, f64, f64)>) -> impl IntoView {
    view! {
        <div class="table-scroll" tabindex="0" role="region" aria-label="Predictions against a running engine">
            <table class="table">
                <thead>
                    <tr>
                        <th scope="col">"Metric"</th>
                        <th scope="col">"Error"</th>
                        <th scope="col">"Measured"</th>
                        <th scope="col">"Predicted"</th>
                        <th scope="col" class="text">"Workload"</th>
                    </tr>
                </thead>
                <tbody>
                    {runs.into_iter().map(|(workload, metric, measured, predicted)| {
                        let written = |value: f64| match metric.strip_suffix("_ms") {
                            Some(_) => duration(value / 1000.0),
                            None => three_digits(value),
                        };
                        let (left, right) = (written(measured), written(predicted));
                        view! {
                            <tr>
                                <th scope="row">{metric.clone()}</th>
                                <td>{change(measured, predicted)}</td>
                                <td>{left}</td>
                                <td>{right}</td>
                                <td class="text">{workload}</td>
                            </tr>
                        }
                    }).collect_view()}
                </tbody>
            </table>
        </div>
    }
}
