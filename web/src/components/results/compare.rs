//! The pinned run beside the one on the page.

use leptos::prelude::*;

use super::compare_data::{Group, Line, differences, latencies, totals};
use super::parts::Shown;
use crate::components::live::{When, heard, live};
use crate::state::{AppState, Run};

/// Pins, or tells what is pinned.
#[component]
pub(crate) fn PinButton() -> impl IntoView {
    let state = expect_context::<AppState>();
    let is_pinned = move || state.pinned.with(Option::is_some);
    view! {
        <button
            type="button"
            class="btn"
            title="Keep this run to compare the next with it (key c)"
            data-testid="pin"
            on:click=heard(move |_| state.pin())
        >
            {live(move || if is_pinned() { "Pin this as A" } else { "Pin as A" })}
            <kbd class="kbd" aria-hidden="true">"c"</kbd>
        </button>
    }
}

/// The card, if a run is pinned.
#[component]
pub(crate) fn CompareCard(
    /// The answer.
    shown: Shown,
) -> impl IntoView {
    let state = expect_context::<AppState>();
    let is_pinned = Memo::new(move |_| state.pinned.with(Option::is_some));
    view! {
        <When when=Signal::derive(move || is_pinned.get())>
            <section class="card" aria-labelledby="compare-title" data-testid="compare">
                <div class="card-title">
                    <h3 id="compare-title">"Compare: A (pinned) and B (this run)"</h3>
                    <div class="toolbar">
                        <button type="button" class="btn" data-testid="unpin" on:click=heard(move |_| state.unpin())>"Unpin A"</button>
                    </div>
                </div>
                <div class="card-body">
                    {live(move || {
                        shown.get();
                        state.pinned.with(|a| state.current.with(|b| {
                            Some(comparison(a.as_ref()?, b.as_ref()?))
                        }))
                    })}
                </div>
            </section>
        </When>
    }
}

fn comparison(a: &Run, b: &Run) -> impl IntoView + use<> {
    let is_same = a.answer.digest == b.answer.digest;
    let other = differences(a, b);
    let mut groups = latencies(&a.answer.metrics, &b.answer.metrics);
    groups.push(Group { name: "Totals".to_owned(), lines: totals(&a.answer, &b.answer) });
    view! {
        {is_same.then(|| view! {
            <p class="muted" data-testid="compare-same">"A and B are the same run: change a setting to see what it does."</p>
        })}
        <Differences other/>
        <DeltaTable groups columns=["A", "B", "B − A", "relative"] label="Run A, run B and their difference" testid="compare-table"/>
    }
}

/// Only what differs.
#[component]
fn Differences(other: Vec<(String, String, String)>) -> impl IntoView {
    if other.is_empty() {
        return ().into_any();
    }
    view! {
        <div class="table-scroll" tabindex="0" role="region" aria-label="Settings that differ">
            <table class="table differences" data-testid="compare-flags">
                <thead>
                    <tr>
                        <th scope="col">"Setting that differs"</th>
                        <th scope="col" class="text">"A"</th>
                        <th scope="col" class="text">"B"</th>
                    </tr>
                </thead>
                <tbody>
                    {other.into_iter().map(|(name, a, b)| view! {
                        <tr>
                            <th scope="row" class="mono">{name}</th>
                            <td class="text mono">{a}</td>
                            <td class="text mono">{b}</td>
                        </tr>
                    }).collect_view()}
                </tbody>
            </table>
        </div>
    }
    .into_any()
}

/// A table for each group of lines.
#[component]
pub(crate) fn DeltaTable(
    /// A heading each.
    groups: Vec<Group>,
    /// Headings of the four columns.
    columns: [&'static str; 4],
    /// What the table is.
    label: &'static str,
    /// For tests.
    testid: &'static str,
) -> impl IntoView {
    view! {
        <div class="deltas-grid" role="group" aria-label=label data-testid=testid>
            {groups.into_iter().map(|group| view! {
                <div class="table-scroll" tabindex="0" role="region" aria-label=format!("{label}: {}", group.name)>
                    <table class="table deltas">
                        <thead>
                            <tr>
                                <th scope="col" class="deltas-name">{group.name.clone()}</th>
                                {columns.map(|name| view! { <th scope="col">{name}</th> }).collect_view()}
                            </tr>
                        </thead>
                        <tbody>{group.lines.into_iter().map(delta_row).collect_view()}</tbody>
                    </table>
                </div>
            }).collect_view()}
        </div>
    }
}

fn delta_row(line: Line) -> impl IntoView {
    let Line { label, values: (a, b), delta, percent, arrow, judgement } = line;
    view! {
        <tr class=judgement.class()>
            <th scope="row">{label}</th>
            <td>{a}</td>
            <td>{b}</td>
            <td class="delta">{delta}</td>
            <td class="delta">
                <span aria-hidden="true">{arrow}</span> " " {percent}
                <span class="visually-hidden">{judgement.word()}</span>
            </td>
        </tr>
    }
}
