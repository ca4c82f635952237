//! A stretch of the run as the pass view draws it, and how the stretch moves.

use crate::components::plot_view::{Reading, Table};
use crate::detail::{GanttWindow, PassBar};
use crate::format::{duration, grouped};
use crate::plot::gantt::{GanttPlot, GanttRow, PassBlock, PassKind, SpanKind};

/// Shortest stretch, in seconds.
const SHORTEST: f64 = 1e-3;

/// The plot of a stretch.
pub(crate) fn plot(window: &GanttWindow) -> GanttPlot {
    let row = |&(index, times): &(u32, [f64; 6])| {
        let [scheduled, send, queued, first, delivered, last] = times;
        let spans = [
            (SpanKind::ClientQueue, scheduled, send),
            (SpanKind::Queue, queued, first),
            (SpanKind::Prefill, first, delivered),
            (SpanKind::Decode, delivered, last),
        ];
        GanttRow { label: index.to_string(), spans: spans.into_iter().filter(|(_, from, to)| from < to).collect() }
    };
    let pass = |bar: &PassBar| {
        let kind = match bar.num_prefill_tokens {
            0 => PassKind::Decode,
            tokens if tokens >= bar.num_tokens => PassKind::Prefill,
            _ => PassKind::Mixed,
        };
        PassBlock { start_s: bar.start, end_s: bar.end, kind }
    };
    GanttPlot {
        rows: window.requests.iter().map(row).collect(),
        passes: window.passes.iter().map(pass).collect(),
        x_range: Some(window.range),
    }
}

/// What happens at `x`.
pub(crate) fn readings(window: &GanttWindow, x: f64) -> Vec<Reading> {
    let mut said = Vec::new();
    let pass = window.passes.iter().find(|pass| pass.start <= x && x <= pass.end);
    let text = pass.map_or_else(|| "none".to_owned(), pass_text);
    said.push(Reading { name: "pass".to_owned(), text, look: None });
    let mut counts = [0_u32; 3];
    for (_, [_, _, queued, first, delivered, last]) in &window.requests {
        let spans = [(queued, first), (first, delivered), (delivered, last)];
        for (count, (from, to)) in counts.iter_mut().zip(spans) {
            *count += u32::from(*from <= x && x < *to);
        }
    }
    for (name, count) in ["in queue", "in prefill", "in decode"].into_iter().zip(counts) {
        said.push(Reading { name: name.to_owned(), text: count.to_string(), look: None });
    }
    said
}

fn pass_text(pass: &PassBar) -> String {
    let &PassBar { start, end, num_tokens, num_prefill_tokens, num_draft_tokens, num_reqs } = pass;
    let drafts = if num_draft_tokens > 0 { format!(", {num_draft_tokens} drafts") } else { String::new() };
    format!(
        "{}, {num_tokens} tokens ({num_prefill_tokens} prefill{drafts}), {num_reqs} requests",
        duration(end - start)
    )
}

/// The requests of a stretch.
pub(crate) fn table(window: &GanttWindow) -> Table {
    let columns = ["request", "sent", "in the queue from", "first pass", "first token", "last token"];
    let row = |(index, times): &(u32, [f64; 6])| {
        let cells = times.iter().skip(1).map(|time| format!("{time:.4} s"));
        std::iter::once(index.to_string()).chain(cells).collect()
    };
    Table { columns: columns.map(str::to_owned).to_vec(), rows: window.requests.iter().map(row).collect() }
}

/// Passes, then requests, with all digits.
pub(crate) fn csv(window: &GanttWindow) -> String {
    let mut text = String::from("pass_start_s,pass_end_s,tokens,prefill_tokens,draft_tokens,requests\n");
    for PassBar { start, end, num_tokens, num_prefill_tokens, num_draft_tokens, num_reqs } in &window.passes {
        text.push_str(&format!("{start},{end},{num_tokens},{num_prefill_tokens},{num_draft_tokens},{num_reqs}\n"));
    }
    text.push_str("\nrequest,scheduled_send_s,send_s,queued_s,first_pass_s,first_token_s,last_token_s\n");
    for (index, [scheduled, send, queued, first, delivered, last]) in &window.requests {
        text.push_str(&format!("{index},{scheduled},{send},{queued},{first},{delivered},{last}\n"));
    }
    text
}

/// What is seen, in a sentence.
pub(crate) fn summary(window: &GanttWindow) -> String {
    format!(
        "{} passes and {} requests between {} and {} of the run. Bars of a request: queue, prefill, decode.",
        window.passes.len(),
        window.requests.len(),
        duration(window.range.0),
        duration(window.range.1)
    )
}

/// The stretch, and what of it is not listed.
pub(crate) fn range_line(window: &GanttWindow) -> String {
    let hidden = match window.num_hidden {
        0 => String::new(),
        1 => "; 1 more request under way is not listed".to_owned(),
        more => format!("; {} more requests under way are not listed", grouped(f64::from(more))),
    };
    let (from, to) = window.range;
    format!("{from:.3} s to {to:.3} s ({}) of {}{hidden}", duration(to - from), duration(window.end))
}

/// The stretch `factor` times as long, with `at` where it was; within 0 and `end`.
pub(crate) fn zoomed(range: (f64, f64), end: f64, factor: f64, at: Option<f64>) -> (f64, f64) {
    let length = range.1 - range.0;
    let at = at.unwrap_or(f64::midpoint(range.0, range.1)).clamp(range.0, range.1.max(range.0));
    let share = if length > 0.0 { (at - range.0) / length } else { 0.5 };
    let wanted = (length * factor).clamp(SHORTEST, end.max(SHORTEST));
    within(at - share * wanted, wanted, end)
}

/// The stretch moved by `share` of its length; within 0 and `end`.
pub(crate) fn panned(range: (f64, f64), end: f64, share: f64) -> (f64, f64) {
    let length = range.1 - range.0;
    within(range.0 + share * length, length, end)
}

fn within(from: f64, length: f64, end: f64) -> (f64, f64) {
    let from = from.min(end - length).max(0.0);
    (from, from + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(got: (f64, f64), expect: (f64, f64)) {
        assert!((got.0 - expect.0).abs() < 1e-9 && (got.1 - expect.1).abs() < 1e-9, "{got:?}, not {expect:?}");
    }

    #[test]
    fn a_stretch_zooms_around_a_point_and_stays_in_the_run() {
        check(zoomed((2.0, 4.0), 10.0, 0.5, None), (2.5, 3.5));
        check(zoomed((2.0, 4.0), 10.0, 0.5, Some(2.0)), (2.0, 3.0));
        check(zoomed((0.0, 4.0), 10.0, 2.0, Some(4.0)), (0.0, 8.0));
        check(zoomed((2.0, 4.0), 10.0, 100.0, None), (0.0, 10.0));
        check(zoomed((2.0, 2.0), 10.0, 0.5, None), (1.9995, 2.0005));
    }

    #[test]
    fn a_stretch_moves_up_to_the_ends_of_the_run() {
        check(panned((2.0, 4.0), 10.0, 0.5), (3.0, 5.0));
        check(panned((2.0, 4.0), 10.0, -5.0), (0.0, 2.0));
        check(panned((2.0, 4.0), 10.0, 50.0), (8.0, 10.0));
    }

    #[test]
    fn what_is_not_listed_is_said() {
        let window = GanttWindow { range: (1.0, 3.0), end: 80.0, num_hidden: 12, ..GanttWindow::default() };
        assert_eq!(
            range_line(&window),
            "1.000 s to 3.000 s (2.00 s) of 80.0 s; 12 more requests under way are not listed"
        );
    }
}
