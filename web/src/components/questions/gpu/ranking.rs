//! The setups that were searched to the end, the best first, and the commands that start the best and that ask again.

use leptos::prelude::*;
use sim_core::scenario::command::Program;

use super::ask::{DEFAULT_GPUS, DEFAULT_SEEDS, Gpus};
use super::told::{Row, usd};
use crate::components::live::{heard, live};
use crate::components::questions::options::typed;
use crate::components::results::parts::CopyButton;
use crate::format::three_digits;
use crate::state::AppState;

/// The number of GPUs as `profiler recommend` takes it, a space before it; the default is left out.
pub(super) fn gpus_typed(num_gpus: u32) -> String {
    if num_gpus == DEFAULT_GPUS { String::new() } else { format!(" --num-gpus {num_gpus}") }
}

/// The table.
#[component]
pub(super) fn Ranking(gpus: Gpus) -> impl IntoView {
    let rows = Memo::new(move |_| gpus.told.with(|told| told.rows.clone()));
    view! {
        <section class="card" aria-labelledby="gpu-table-title">
            <div class="card-title">
                <h3 id="gpu-table-title">"Searched to the end"</h3>
                <span class="muted card-aside">"at what one engine carries; the best first"</span>
            </div>
            <div class="card-body">
                <div class="table-scroll" tabindex="0" role="region" aria-label="Setups that were searched to the end">
                    <table class="table question-table" data-testid="gpu-table">
                        <thead>
                            <tr>
                                <th scope="col" class="text">"Setup"</th>
                                <th scope="col">"Carries"</th>
                                <th scope="col">"tokens/s per GPU"</th>
                                <th scope="col">"per user"</th>
                                <th scope="col">"US$/Mtok"</th>
                                <th scope="col"><span class="visually-hidden">"Take"</span></th>
                            </tr>
                        </thead>
                        <tbody>{live(move || rows.get().into_iter().map(table_row).collect_view())}</tbody>
                    </table>
                </div>
            </div>
        </section>
    }
}

fn table_row(row: Row) -> impl IntoView {
    let state = expect_context::<AppState>();
    let Row { gpus, flags, capacity, figures, scenario, why_not } = row;
    let name = format!("{gpus} {flags}");
    let take = heard(move |_| {
        // The load stays as it was in the form: it is what the question varies.
        let mut taken = state.scenario.get_untracked();
        for (flag, value) in scenario.given() {
            let (flag, value) = flag.written(value);
            // Each was read as a flag before.
            taken.set(&flag, value.as_deref()).ok();
        }
        state.set_scenario(taken);
        state.show_address();
    });
    let cost = figures.usd_per_million_tokens.map_or_else(|| "–".to_owned(), usd);
    view! {
        <tr>
            <th scope="row" class="text">
                {gpus} " " <code>{flags}</code>
                {why_not.map(|why| view! { <span class="muted question-why">{why}</span> })}
            </th>
            <td>{three_digits(capacity)}</td>
            <td>{three_digits(figures.tokens_per_second_per_gpu)}</td>
            <td>{three_digits(figures.tokens_per_second_per_user)}</td>
            <td>{cost}</td>
            <td>
                <button type="button" class="btn" aria-label=format!("Take {name} into the form") on:click=take>"Take"</button>
            </td>
        </tr>
    }
}

/// What starts the best, and what asks the same on the command line.
#[component]
pub(super) fn Commands(gpus: Gpus) -> impl IntoView {
    let state = expect_context::<AppState>();
    let serve = Memo::new(move |_| {
        let best = gpus.told.with(|told| told.rows.iter().find(|row| row.why_not.is_none()).cloned());
        best.map(|best| state.command_of(Program::Serve, &best.scenario)).unwrap_or_default()
    });
    let ask = Memo::new(move |_| {
        let Some(key) = gpus.asked.get() else { return String::new() };
        let is_by_gpus = gpus.told.with(|told| told.is_by_gpus);
        let simulate = state.command_of(Program::Simulate, &key.inquiry.scenario);
        let objective = if is_by_gpus { " --for throughput" } else { "" };
        let options = format!("{}{}", gpus_typed(key.num_gpus), typed(&key.inquiry.question, DEFAULT_SEEDS));
        simulate.replacen("profiler simulate", &format!("profiler recommend{objective}{options}"), 1)
    });
    view! {
        <section class="card" aria-labelledby="gpu-command-title">
            <div class="card-title">
                <h3 id="gpu-command-title">"The best, to start"</h3>
                <div class="toolbar"><CopyButton text=serve what="the command" testid="gpu-copy-serve"/></div>
            </div>
            <div class="card-body">
                <pre class="report-text mono" tabindex="0" role="region" aria-label="Command that starts it" data-testid="gpu-serve">{serve}</pre>
            </div>
            <div class="card-title">
                <h3>"The same question on the command line"</h3>
                <div class="toolbar"><CopyButton text=ask what="the question" testid="gpu-copy-command"/></div>
            </div>
            <div class="card-body">
                <pre class="report-text mono" tabindex="0" role="region" aria-label="Question" data-testid="gpu-command">{ask}</pre>
                <p class="muted report-digest">
                    "Digest of all runs of those searched to the end, the same in --output-json: "
                    <code class="mono" data-testid="gpu-digest">
                        {move || gpus.told.with(|told| format!("{:016x}", told.digest))}
                    </code>
                </p>
            </div>
        </section>
    }
}
