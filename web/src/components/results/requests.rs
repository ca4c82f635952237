//! The request table: sorted by any column, a page at a time.

use leptos::prelude::*;

use super::parts::{Fold, Shown};
use crate::components::live::{heard, live};
use crate::detail::RequestRow;
use crate::format::{duration, grouped};
use crate::state::AppState;

/// Rows of a page.
const PAGE: u32 = 50;

/// Name of the field, heading, meaning, whether its cells are words.
const COLUMNS: [(&str, &str, &str, bool); 12] = [
    ("index", "#", "Number, in the order of the workload", false),
    ("is_good", "SLO", "Whether the request meets every objective", true),
    ("send", "Sent", "Time of the run at which it was sent", false),
    ("num_prompt_tokens", "Prompt", "Prompt tokens", false),
    ("num_cached_tokens", "Cached", "Of these, found in the prefix cache", false),
    ("num_output_tokens", "Output", "Output tokens", false),
    ("client_queue", "Client queue", "Wait for the client's max_concurrency", false),
    ("queue", "Queue", "Wait in the engine's queue", false),
    ("ttft", "TTFT", "Time to first token", false),
    ("tpot", "TPOT", "Time per output token", false),
    ("e2el", "E2EL", "End-to-end latency", false),
    ("num_preemptions", "Preempted", "Times it was preempted", false),
];

/// What is shown of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sight {
    sort_by: &'static str,
    descending: bool,
    page: u32,
}

impl Sight {
    /// A click on a heading: the other way if it is sorted by that already; what is large first, but for numbers.
    fn sorted_by(self, column: &'static str) -> Self {
        let descending =
            if self.sort_by == column { !self.descending } else { !matches!(column, "index" | "send" | "is_good") };
        Self { sort_by: column, descending, page: 0 }
    }
}

/// The last page of a table of `num_rows`.
const fn last_page(num_rows: u32) -> u32 {
    num_rows.saturating_sub(1) / PAGE
}

/// The card.
#[component]
pub(crate) fn RequestsCard(
    /// The answer.
    shown: Shown,
) -> impl IntoView {
    let state = expect_context::<AppState>();
    let is_open = RwSignal::new(false);
    let sight = RwSignal::new(Sight { sort_by: "index", descending: false, page: 0 });
    let num_rows = shown.part(|answer| answer.num_requests);
    let is_judged = shown.part(|answer| answer.verdict.meets.is_some());
    Effect::new(move |_| {
        if shown.get().is_none() || !is_open.get() {
            return;
        }
        let Sight { sort_by, descending, page } = sight.get();
        let last = last_page(num_rows.get());
        if page > last {
            sight.set(Sight { page: last, ..sight.get_untracked() });
            return;
        }
        state.ask_rows(sort_by, descending, page * PAGE, PAGE);
    });
    let aside = Signal::derive(move || format!("{} requests", grouped(f64::from(num_rows.get()))));
    view! {
        <Fold title="Requests" aside testid="requests" is_open>
            <div class="table-scroll requests-scroll" tabindex="0" role="region" aria-label="Requests">
                <table class="table requests-table" data-testid="request-table">
                    <thead>
                        <tr>{COLUMNS.map(|column| view! { <Heading column sight/> }).collect_view()}</tr>
                    </thead>
                    <tbody>
                        {live(move || {
                            let is_judged = is_judged.get();
                            state.rows.with(|rows| rows.iter().map(|request| row(request, is_judged)).collect_view())
                        })}
                    </tbody>
                </table>
            </div>
            <Pager sight num_rows/>
        </Fold>
    }
}

#[component]
fn Heading(column: (&'static str, &'static str, &'static str, bool), sight: RwSignal<Sight>) -> impl IntoView {
    let (field, name, about, is_text) = column;
    let sort = move || {
        let sight = sight.get();
        (sight.sort_by == field).then_some(if sight.descending { "descending" } else { "ascending" })
    };
    view! {
        <th scope="col" class:text=is_text aria-sort=sort>
            <button type="button" title=about data-testid=format!("sort-{field}") on:click=heard(move |_| sight.update(|sight| *sight = sight.sorted_by(field)))>
                {name}
            </button>
        </th>
    }
}

fn row(request: &RequestRow, is_judged: bool) -> impl IntoView + use<> {
    let is_missed = is_judged && !request.is_good;
    let (mark, said) = match (request.is_finished, is_judged, request.is_good) {
        (false, _, _) => ("…", "not finished"),
        (true, false, _) => ("–", "no objective"),
        (true, true, true) => ("✓", "met"),
        (true, true, false) => ("✗", "missed"),
    };
    let time = |value: f64| if request.is_finished { duration(value) } else { "–".to_owned() };
    let count = |value: u32| grouped(f64::from(value));
    view! {
        <tr class:request-missed=is_missed class:request-unfinished=!request.is_finished>
            <th scope="row">{request.index}</th>
            <td class="text"><span class="request-mark" aria-hidden="true">{mark}</span> " " <span class="request-said">{said}</span></td>
            <td>{format!("{:.3} s", request.send)}</td>
            <td>{count(request.num_prompt_tokens)}</td>
            <td>{count(request.num_cached_tokens)}</td>
            <td>{count(request.num_output_tokens)}</td>
            <td>{time(request.client_queue)}</td>
            <td>{time(request.queue)}</td>
            <td>{time(request.ttft)}</td>
            <td>{request.tpot.map_or_else(|| "–".to_owned(), time)}</td>
            <td>{time(request.e2el)}</td>
            <td>{count(request.num_preemptions)}</td>
        </tr>
    }
}

#[component]
fn Pager(sight: RwSignal<Sight>, num_rows: Memo<u32>) -> impl IntoView {
    let page = move || sight.get().page;
    let last = move || last_page(num_rows.get());
    let is_last = move || page() >= last();
    let turn = move |to: u32| sight.update(|sight| sight.page = to);
    let said = move || {
        let first = page() * PAGE;
        let end = (first + PAGE).min(num_rows.get());
        format!(
            "{} – {} of {}",
            grouped(f64::from((first + 1).min(end))),
            grouped(f64::from(end)),
            grouped(f64::from(num_rows.get()))
        )
    };
    view! {
        <nav class="toolbar pager" aria-label="Pages of the request table">
            <button type="button" class="btn" data-testid="requests-first" disabled=move || page() == 0 on:click=heard(move |_| turn(0))>
                "First"
            </button>
            <button type="button" class="btn" data-testid="requests-previous" disabled=move || page() == 0
                on:click=heard(move |_| turn(page().saturating_sub(1)))>"Previous"</button>
            <span class="num" aria-live="polite" data-testid="requests-range">{said}</span>
            <button type="button" class="btn" data-testid="requests-next" disabled=is_last
                on:click=heard(move |_| turn((page() + 1).min(last())))>"Next"</button>
            <button type="button" class="btn" data-testid="requests-last" disabled=is_last
                on:click=heard(move |_| turn(last()))>"Last"</button>
        </nav>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_click_on_a_heading_turns_the_order_around() {
        let first = Sight { sort_by: "index", descending: false, page: 3 };
        let slowest = first.sorted_by("ttft");
        assert_eq!(slowest, Sight { sort_by: "ttft", descending: true, page: 0 }, "the slowest first");
        assert_eq!(slowest.sorted_by("ttft"), Sight { descending: false, ..slowest }, "then the fastest");
        assert!(!slowest.sorted_by("is_good").descending, "misses first");
    }

    #[test]
    fn the_last_page_has_a_row() {
        for (num_rows, page) in [(0, 0), (1, 0), (50, 0), (51, 1), (1_000, 19)] {
            assert_eq!(last_page(num_rows), page, "{num_rows} rows");
        }
    }
}
