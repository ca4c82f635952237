//! Routers side by side: the same requests by each of them.

use leptos::prelude::*;
use sim_core::fleet::router::Policy;
use sim_core::math;

use super::routers_ask::{Comparison, Status};
use crate::components::live::{When, heard, live};
use crate::fleet_answer::RouterRow;
use crate::format::{duration, percent, three_digits};
use crate::state::AppState;

/// A column: its heading, its value, the value in words, and whether more is better.
struct Column {
    name: &'static str,
    value: fn(&RouterRow) -> f64,
    text: fn(f64) -> String,
    is_more_better: bool,
}

const COLUMNS: [Column; 9] = [
    Column { name: "TTFT P50", value: |row| row.ttft[0], text: duration, is_more_better: false },
    Column { name: "TTFT P99", value: |row| row.ttft[1], text: duration, is_more_better: false },
    Column { name: "TPOT P50", value: |row| row.tpot[0], text: duration, is_more_better: false },
    Column { name: "TPOT P99", value: |row| row.tpot[1], text: duration, is_more_better: false },
    Column { name: "E2EL P50", value: |row| row.e2el[0], text: duration, is_more_better: false },
    Column { name: "E2EL P99", value: |row| row.e2el[1], text: duration, is_more_better: false },
    Column { name: "Requests/s", value: |row| row.request_throughput, text: three_digits, is_more_better: true },
    Column { name: "Prefix hits", value: |row| row.prefix_cache_hit_rate, text: percent, is_more_better: true },
    Column {
        name: "Imbalance",
        value: |row| row.imbalance[1],
        text: |value| format!("{value:.3}"),
        is_more_better: false,
    },
];

/// The card.
#[component]
pub(super) fn Routers() -> impl IntoView {
    let state = expect_context::<AppState>();
    let comparison = Comparison::new(state);
    let is_running = Memo::new(move |_| comparison.status.get() == Status::Running);
    let has_rows = Memo::new(move |_| !comparison.rows.with(Vec::is_empty));
    let count = math::usize_to_u32(Policy::ALL.len());
    let said = move || match comparison.status.get() {
        Status::Running => format!("{} of {count} routers", comparison.num_done.get()),
        Status::Cancelled => format!("Cancelled after {} of {count} routers.", comparison.num_done.get()),
        Status::Failed(why) => why,
        Status::Idle => String::new(),
    };
    view! {
        <section class="card" aria-labelledby="routers-title" data-testid="routers">
            <div class="card-title">
                <h3 id="routers-title">"Routers side by side"</h3>
                <div class="toolbar">
                    <When
                        when=Signal::derive(move || is_running.get())
                        fallback=move || view! {
                            <button type="button" class="btn" data-testid="compare-routers" on:click=heard(move |_| comparison.ask(state))>
                                {move || if has_rows.get() { "Compare again" } else { "Compare all routers" }}
                            </button>
                        }
                    >
                        <button type="button" class="btn btn-ghost" data-testid="routers-cancel" on:click=heard(move |_| comparison.cancel())>
                            "Cancel"
                        </button>
                    </When>
                </div>
            </div>
            <div class="card-body">
                <p class="muted">
                    "The same requests with the same seed by each router, as " <code class="mono">"profiler simulate --compare-routers all"</code>
                    " has it. Imbalance is of output tokens: the most of any replica over the mean. The best of a column is marked."
                </p>
                <When when=Signal::derive(move || is_running.get())>
                    <progress class="run-progress" aria-label="Routers that are done" value=move || comparison.num_done.get().to_string() max=count.to_string()></progress>
                </When>
                <p class="muted routers-status" aria-live="polite" data-testid="routers-status">{said}</p>
                <When when=Signal::derive(move || has_rows.get())>
                    {live(move || comparison.rows.with(|rows| table(rows, state)))}
                </When>
            </div>
        </section>
    }
}

fn table(rows: &[RouterRow], state: AppState) -> impl IntoView + use<> {
    let best = COLUMNS.each_ref().map(|column| best(rows, column));
    let rows: Vec<_> = rows.iter().enumerate().map(|(place, row)| router_row(place, row, &best, state)).collect();
    view! {
        <div class="table-scroll" tabindex="0" role="region" aria-label="Routers and what came of each">
            <table class="table routers-table" data-testid="routers-table">
                <thead>
                    <tr>
                        <th scope="col">"Router"</th>
                        {COLUMNS.each_ref().map(|column| view! { <th scope="col">{column.name}</th> }).collect_view()}
                        <th scope="col"><span class="visually-hidden">"Use"</span></th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}

/// The text of the best value of a column; `None` where all read alike.
fn best(rows: &[RouterRow], column: &Column) -> Option<String> {
    let by = |a: &f64, b: &f64| if column.is_more_better { b.total_cmp(a) } else { a.total_cmp(b) };
    let best = rows.iter().map(column.value).min_by(by)?;
    let text = (column.text)(best);
    let is_told_apart = rows.iter().any(|row| (column.text)((column.value)(row)) != text);
    is_told_apart.then_some(text)
}

fn router_row(place: usize, row: &RouterRow, best: &[Option<String>; 9], state: AppState) -> impl IntoView + use<> {
    let name = Policy::ALL.get(place).map_or("", |policy| policy.name());
    let is_used = Memo::new(move |_| state.scenario.with(|scenario| scenario.fleet().router.name() == name));
    let cells: Vec<_> = COLUMNS
        .iter()
        .zip(best)
        .map(|(column, best)| {
            let text = (column.text)((column.value)(row));
            let is_best = best.as_ref() == Some(&text);
            view! { <td class:is-best=is_best>{text}{is_best.then(|| view! { <span class="visually-hidden">" (best)"</span> })}</td> }
        })
        .collect();
    let failed = (row.num_failed > 0).then(|| format!("{} failed", row.num_failed));
    let apply = move |_| {
        // The name of a router, which the flag takes.
        state.set_flag("router", name).ok();
    };
    view! {
        <tr class:is-used=move || is_used.get() data-testid=format!("router-row-{name}") data-digest=row.digest.clone()>
            <th scope="row" class="mono">{name}{failed.map(|failed| view! { " " <span class="chip chip-bad">{failed}</span> })}</th>
            {cells}
            <td>
                <When
                    when=Signal::derive(move || is_used.get())
                    fallback=move || view! {
                        <button type="button" class="btn btn-ghost" aria-label=format!("Use {name}") on:click=heard(apply)>"Use"</button>
                    }
                >
                    <span class="chip chip-accent">"in the form"</span>
                </When>
            </td>
        </tr>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_a_column_is_marked_unless_all_read_alike() {
        let row = |ttft: f64, hits: f64| RouterRow {
            ttft: [ttft, ttft],
            prefix_cache_hit_rate: hits,
            ..RouterRow::default()
        };
        let rows = [row(0.1, 0.5), row(0.05, 0.25)];
        assert_eq!(best(&rows, &COLUMNS[0]).as_deref(), Some(duration(0.05).as_str()), "the shorter");
        assert_eq!(best(&rows, &COLUMNS[7]).as_deref(), Some(percent(0.5).as_str()), "the larger");
        assert_eq!(best(&rows, &COLUMNS[2]), None, "no one's");
    }
}
