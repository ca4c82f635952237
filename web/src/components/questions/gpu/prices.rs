//! What an hour of each GPU costs: the list's price with date and source, and the user's own, which are in the link.

use leptos::prelude::*;
use sim_core::operators::gpu_table;
use sim_core::operators::prices::Price;

use super::ask::Gpus;
use crate::components::live::{heard, live};
use crate::state::AppState;

/// Keys and labels of the GPUs that are compared.
pub(super) fn compared() -> Vec<(String, String)> {
    let is_measured = |key: &str| gpu_table::measured(key) == Some(key);
    gpu_table::known().into_iter().filter(|gpu| is_measured(&gpu.key)).map(|gpu| (gpu.key, gpu.label)).collect()
}

/// The table.
#[component]
pub(super) fn PriceTable(gpus: Gpus) -> impl IntoView {
    let state = expect_context::<AppState>();
    let fault = RwSignal::new(String::new());
    view! {
        <section class="card" aria-labelledby="gpu-prices-title">
            <div class="card-title">
                <h3 id="gpu-prices-title">"Prices"</h3>
                <span class="muted card-aside">"US$ for an hour of one GPU; your own go into the link"</span>
            </div>
            <div class="card-body">
                <div class="table-scroll" tabindex="0" role="region" aria-label="Prices of GPUs">
                    <table class="table question-table" data-testid="gpu-prices">
                        <thead>
                            <tr>
                                <th scope="col" class="text">"GPU"</th>
                                <th scope="col">"US$/h"</th>
                                <th scope="col" class="text">"Date"</th>
                                <th scope="col" class="text">"Source"</th>
                            </tr>
                        </thead>
                        <tbody>
                            {live(move || {
                                let prices = gpus.prices(state);
                                let row = move |gpu: (String, String)| {
                                    let price = prices.of(&gpu.0).cloned();
                                    row(state, fault, price, gpu)
                                };
                                compared().into_iter().map(row).collect_view()
                            })}
                        </tbody>
                    </table>
                </div>
                <p class="field-error" role="alert" data-testid="gpu-price-fault">{fault}</p>
            </div>
        </section>
    }
}

fn row(
    state: AppState,
    fault: RwSignal<String>,
    price: Option<Price>,
    (key, label): (String, String),
) -> impl IntoView {
    let shown = price.as_ref().map_or_else(String::new, |price| price.usd_per_gpu_hour.to_string());
    let (date, source) = price.map_or_else(
        || (String::new(), "no public price was found: give one".to_owned()),
        |price| (price.date, price.source),
    );
    let testid = format!("gpu-price-{key}");
    let change = heard(move |event: leptos::ev::Event| {
        let given = event_target_value(&event);
        fault.set(set_price(state, &key, given.trim()).err().unwrap_or_default());
    });
    view! {
        <tr>
            <th scope="row" class="text">{label.clone()}</th>
            <td>
                <input
                    class="input question-price" type="text" inputmode="decimal" autocomplete="off" data-testid=testid
                    aria-label=format!("US dollars for an hour of {label}") prop:value=shown on:change=change
                />
            </td>
            <td class="text muted">{date}</td>
            <td class="text muted question-source">{source}</td>
        </tr>
    }
}

/// Puts a price into the form; an empty one takes it out again.
fn set_price(state: AppState, key: &str, given: &str) -> Result<(), String> {
    let own = state.scenario.with_untracked(|scenario| scenario.report().prices().clone());
    let others = compared().into_iter().filter(|(other, _)| other != key);
    let others = others.filter_map(|(other, _)| Some(format!("{other}={}", own.of(&other)?.usd_per_gpu_hour)));
    let changed = (!given.is_empty()).then(|| format!("{key}={given}"));
    let words: Vec<String> = others.chain(changed).collect();
    state.set_flag("price", &words.join(" "))?;
    state.show_address();
    Ok(())
}
