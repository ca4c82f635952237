//! How the question is asked: what is varied, which share must meet, and how many runs each load gets.

use leptos::prelude::*;
use sim_core::scenario::Asking;

use super::inquiry::DEFAULT_SHARE;
use crate::components::live::heard;
use crate::html;
use crate::state::AppState;

/// Shares that are offered.
const SHARES: [f64; 5] = [0.9, 0.95, 0.99, 0.999, 1.0];
/// Numbers of runs at each load that are offered.
const SEEDS: [u32; 4] = [1, 3, 5, 10];

/// The options.
#[component]
pub(super) fn Options(
    /// Runs at each load, where nobody says otherwise.
    default_seeds: u32,
) -> impl IntoView {
    let state = expect_context::<AppState>();
    let change = move |change: &dyn Fn(&mut Asking)| {
        let mut asking = state.asking.get_untracked();
        change(&mut asking);
        if asking != state.asking.get_untracked() {
            state.asking.set(asking);
            state.show_address();
        }
    };
    let share = Memo::new(move |_| state.asking.get().share.unwrap_or(DEFAULT_SHARE));
    let seeds = Memo::new(move |_| state.asking.get().num_seeds.unwrap_or(default_seeds));
    let choose_share = move |event: leptos::ev::Event| {
        let share = event_target_value(&event).parse::<f64>().ok();
        change(&|asking| asking.share = share.filter(|share| (share - DEFAULT_SHARE).abs() > f64::EPSILON));
    };
    let choose_seeds = move |event: leptos::ev::Event| {
        let seeds = event_target_value(&event).parse::<u32>().ok();
        change(&|asking| asking.num_seeds = seeds.filter(|seeds| *seeds != default_seeds));
    };
    let kinds = [(false, "Requests/s", "ask-by-rate"), (true, "At once", "ask-by-concurrency")];
    view! {
        <div class="toolbar question-options">
            <div class="tabs" role="group" aria-label="What is varied">
                {kinds.map(|(by_concurrency, words, testid)| view! {
                    <button
                        type="button" class="tab" data-testid=testid
                        aria-pressed=move || (state.asking.get().is_by_concurrency == by_concurrency).to_string()
                        on:click=heard(move |_| change(&|asking| asking.is_by_concurrency = by_concurrency))
                    >
                        {words}
                    </button>
                }).collect_view()}
            </div>
            <label class="question-option">
                <span>"Must meet"</span>
                <select class="input" data-testid="ask-share" inner_html=move || shares(share.get()) on:change=choose_share></select>
            </label>
            <label class="question-option">
                <span>"Seeds"</span>
                <select class="input" data-testid="ask-seeds" inner_html=move || numbers(seeds.get()) on:change=choose_seeds></select>
            </label>
        </div>
    }
}

fn shares(chosen: f64) -> String {
    let is_chosen = |share: f64| (share - chosen).abs() < 1e-12;
    let mut offered = SHARES.to_vec();
    if !SHARES.into_iter().any(is_chosen) {
        offered.push(chosen);
    }
    let option = |share: f64| {
        let percent = (share * 1e6).round() / 1e4;
        html::option(&share.to_string(), &format!("{percent} %"), is_chosen(share))
    };
    offered.into_iter().map(option).collect()
}

fn numbers(chosen: u32) -> String {
    let mut offered = SEEDS.to_vec();
    if !SEEDS.contains(&chosen) {
        offered.push(chosen);
    }
    offered.into_iter().map(|number| html::option(&number.to_string(), &number.to_string(), number == chosen)).collect()
}
