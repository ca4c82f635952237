//! vLLM's own result table, the engine's numbers, and the digest.

use leptos::prelude::*;

use super::parts::{CopyButton, Fold, Shown};
use crate::components::live::live;

/// The card.
#[component]
pub(crate) fn ReportCard(
    /// The answer.
    shown: Shown,
) -> impl IntoView {
    let table = shown.part(|answer| answer.bench_table.clone());
    let lines = shown.part(|answer| answer.engine_lines.clone());
    let digest = shown.part(|answer| answer.digest.clone());
    view! {
        <Fold title="Result table of vllm bench serve" aside="character for character" testid="report" is_open=RwSignal::new(false)>
            <div class="report">
                <div class="report-part">
                    <div class="toolbar report-head">
                        <h4>"Serving benchmark result (simulated)"</h4>
                        <CopyButton text=table what="the table" testid="copy-bench-table"/>
                    </div>
                    <pre class="report-text mono" tabindex="0" aria-label="Result table of vllm bench serve" data-testid="bench-table">{table}</pre>
                </div>
                <div class="report-part">
                    <h4>"The engine"</h4>
                    <div class="table-scroll" tabindex="0" role="region" aria-label="The engine's numbers">
                        <table class="table report-engine" data-testid="engine-lines">
                            <tbody>
                                {live(move || lines.get().into_iter().map(|(name, value)| view! {
                                    <tr><th scope="row">{name}</th><td>{value}</td></tr>
                                }).collect_view())}
                            </tbody>
                        </table>
                    </div>
                </div>
            </div>
            <p class="muted report-digest">
                "Run digest " <code class="mono" data-testid="digest">{digest}</code>
                ", equal to that of " <code class="mono">"profiler simulate"</code> " for the same flags and profile. "
                <CopyButton text=digest what="the digest" testid="copy-digest"/>
            </p>
        </Fold>
    }
}
