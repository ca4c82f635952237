//! How the question is asked: what is varied, which share must meet, and how many runs each load gets.

use leptos::prelude::*;
use sim_core::answers::capacity::{LoadKind, Question};
use sim_core::scenario::{AskedBy, Asking};

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
    let change = move |change: &dyn Fn(&mut Asking)| ask_otherwise(state, change);
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
    view! {
        <div class="toolbar question-options">
            <div class="tabs" role="group" aria-label="What is varied">
                {AskedBy::ALL.map(|by| view! {
                    <button
                        type="button" class="tab" data-testid=format!("ask-by-{}", by.name())
                        aria-pressed=move || (state.asking.get().by == by).to_string()
                        on:click=heard(move |_| change(&|asking| asking.by = by))
                    >
                        {in_words(by)}
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

/// Changes how the question is asked, and the address with it.
pub(super) fn ask_otherwise(state: AppState, change: &dyn Fn(&mut Asking)) {
    let mut asking = state.asking.get_untracked();
    change(&mut asking);
    if asking != state.asking.get_untracked() {
        state.asking.set(asking);
        state.show_address();
    }
}

const fn in_words(by: AskedBy) -> &'static str {
    match by {
        AskedBy::Rate => "Requests/s",
        AskedBy::Concurrency => "At once",
        AskedBy::Users => "Users",
    }
}

/// The options as `profiler capacity` and `profiler recommend` take them, a space before each; those that say the default
/// are left out.
pub(super) fn typed(question: &Question, default_seeds: u32) -> String {
    let by = match question.kind {
        LoadKind::Rate => "",
        LoadKind::Concurrency => " --by concurrency",
        LoadKind::Users => " --by users",
    };
    let differs = (question.required_share - DEFAULT_SHARE).abs() > f64::EPSILON;
    let share = if differs { format!(" --share {}", question.required_share) } else { String::new() };
    let has_default = question.num_seeds == default_seeds;
    let seeds = if has_default { String::new() } else { format!(" --num-seeds {}", question.num_seeds) };
    format!("{by}{share}{seeds}")
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
