//! Where the time to the first token goes.

use std::sync::Arc;

use leptos::prelude::*;

use super::parts::Shown;
use super::sentences;
use crate::answer::SplitRow;
use crate::components::live::live;
use crate::components::plot_view::{PlotSource, PlotView, Reading, Table};
use crate::format::duration;
use crate::plot::split::{SplitPlot, SplitRow as Bar, TTFT_PARTS};

/// Room for axis and legend, and for a bar, in CSS pixels.
const FRAME_HEIGHT: u32 = 96;
const BAR_HEIGHT: u32 = 30;

fn parts(row: &SplitRow) -> [f64; 5] {
    [row.front_end, row.front_end_wait, row.queue, row.prefill, row.delivery]
}

/// The card.
#[component]
pub(crate) fn SplitCard(
    /// The answer.
    shown: Shown,
) -> impl IntoView {
    let rows = shown.part(|answer| Arc::new(answer.ttft_split.clone()));
    let height = Memo::new(move |_| {
        let bars = rows.with(|rows| u32::try_from(rows.len()).unwrap_or(0).clamp(1, 12));
        FRAME_HEIGHT + BAR_HEIGHT * bars
    });
    let source = PlotSource::new(
        move |frame| {
            let bars = rows.with(|rows| {
                rows.iter().map(|row| Bar { label: row.label.clone(), parts_s: parts(row).to_vec() }).collect()
            });
            SplitPlot::ttft(bars).draw(frame)
        },
        move |x| rows.with(|rows| readings(rows, x)),
        move || rows.with(|rows| table(rows)),
        move || rows.with(|rows| csv(rows)),
    );
    view! {
        <section class="card" aria-labelledby="split-title" data-testid="ttft-split">
            <div class="card-title">
                <h3 id="split-title">"Where the time to the first token goes"</h3>
                <span class="muted card-aside">"of the requests around each rank of TTFT"</span>
            </div>
            <div class="card-body">
                <PlotView
                    source
                    title=Signal::stored("TTFT by part".to_owned())
                    summary=Signal::derive(move || format!("Parts of TTFT. {}", rows.with(|rows| sentences::split(rows))))
                    height
                    file_stem=Signal::stored("ttft-split".to_owned())
                />
                <p class="visually-hidden" data-testid="split-sentence">
                    {live(move || rows.with(|rows| sentences::split(rows)))}
                </p>
                <details class="explain">
                    <summary>"What the parts are"</summary>
                    <ul>
                        <li><b>"Front end"</b>": from sending until the engine's queue: HTTP, tokenizing, handing over."</li>
                        <li><b>"API server busy"</b>": waiting, as a request or as its first token, while an API-server process works on others'; --api-server-count gives it more."</li>
                        <li><b>"Queue"</b>": waiting in the engine for KV blocks, a place in the batch, or tokens of a pass."</li>
                        <li><b>"Prefill"</b>": from the first pass that computes the prompt until the first token is sampled."</li>
                        <li><b>"Return"</b>": from there to the client: detokenizing and streaming."</li>
                    </ul>
                </details>
            </div>
        </section>
    }
}

/// Which part each bar is in at `x`.
fn readings(rows: &[SplitRow], x: f64) -> Vec<Reading> {
    let said = rows.iter().filter_map(|row| {
        let mut end = 0.0;
        let found = parts(row).into_iter().zip(TTFT_PARTS).find(|(part, _)| {
            end += part;
            x <= end
        });
        let (part, (name, _)) = found?;
        Some(Reading { name: row.label.clone(), text: format!("{name} {}", duration(part)), look: None })
    });
    said.collect()
}

fn table(rows: &[SplitRow]) -> Table {
    let names = TTFT_PARTS.iter().map(|part| part.0.to_owned());
    let columns = std::iter::once(String::new()).chain(names).chain(["TTFT".to_owned()]).collect();
    let row = |row: &SplitRow| {
        let total = parts(row).iter().sum();
        let cells = parts(row).into_iter().chain([total]).map(duration);
        std::iter::once(row.label.clone()).chain(cells).collect()
    };
    Table { columns, rows: rows.iter().map(row).collect() }
}

fn csv(rows: &[SplitRow]) -> String {
    let mut text = String::from("of,front_end_s,api_server_busy_s,queue_s,prefill_s,return_s\n");
    for row in rows {
        let [front_end, busy, queue, prefill, delivery] = parts(row);
        text.push_str(&format!("{},{front_end},{busy},{queue},{prefill},{delivery}\n", row.label));
    }
    text
}
