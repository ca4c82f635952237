//! A recommendation for other programs.

use serde_json::{Value, json};
use sim_core::answers::capacity::told::{LATENCIES, name};
use sim_core::answers::recommend::{Comparison, Figures, Operating};
use sim_core::scenario::command::{Program, write};
use sim_core::scenario::{DEFAULT_GPU, DEFAULT_MODEL};

use super::report::{Report, word};

/// Everything that the text says, and the loads behind it.
pub(crate) fn json(report: &Report<'_>) -> Value {
    let plan = report.recommend.plan();
    let operating = |one: &Operating| {
        let mut value = figures(&one.figures);
        value["name"] = json!(report.entry(one.entry).name());
        value
    };
    let excluded = report.answer.excluded.iter();
    let excluded =
        excluded.map(|(kind, count, example)| json!({"why": kind.words(), "count": count, "example": example}));
    json!({
        "simulated": true,
        "for": word(plan.objective),
        "load": plan.kind.flag(),
        "required_share": plan.required_share,
        "demand": plan.demand,
        "num_gpus": plan.num_gpus,
        "num_runs": report.num_runs,
        "digest": format!("{:016x}", report.recommend.digest()),
        "why_nothing": report.answer.ranked.is_empty().then(|| report.why_nothing()),
        "ranked": report.answer.ranked.iter().map(|&place| entry(report, place)).collect::<Vec<_>>(),
        "excluded": excluded.collect::<Vec<_>>(),
        "comparisons": report.answer.comparisons.iter().map(comparison).collect::<Vec<_>>(),
        "front_tokens_per_gpu": report.answer.by_gpu.iter().map(operating).collect::<Vec<_>>(),
        "front_cost": report.answer.by_cost.iter().map(operating).collect::<Vec<_>>(),
    })
}

fn entry(report: &Report<'_>, place: usize) -> Value {
    let (plan, entry) = (report.recommend.plan(), report.entry(place));
    let composition = entry.candidate.scenario.composition();
    let gpu = composition.as_ref().map_or(DEFAULT_GPU, |composition| composition.gpu_key());
    let capacity = entry.answer.as_ref().and_then(|answer| answer.capacity);
    let hardware = entry.engine.as_ref().map(|engine| engine.hardware);
    let price = report.prices.of(gpu);
    json!({
        "name": entry.name(),
        "command": write(Program::Serve, &entry.candidate.scenario, DEFAULT_MODEL, &[]),
        "gpu": gpu,
        "gpus_per_engine": hardware.map(|hardware| hardware.num_gpus),
        "replicas": hardware.and_then(|hardware| plan.replicas(hardware, capacity?)),
        "capacity": capacity,
        "interval_95": entry.answer.as_ref().and_then(|answer| answer.interval).map(|(low, high)| [low, high]),
        "operating": entry.figures(plan).as_ref().map(figures),
        "price": price.map(|price| json!({
            "usd_per_gpu_hour": price.usd_per_gpu_hour, "date": price.date, "source": price.source,
        })),
        "flags": entry.candidate.scenario.given().map(|(flag, value)| json!([flag.name, value])).collect::<Vec<_>>(),
    })
}

fn figures(figures: &Figures) -> Value {
    let per_user = figures.tokens_per_second_per_user;
    json!({
        "load": figures.load,
        "requests_per_second": figures.requests_per_second,
        "tokens_per_second_per_gpu": figures.tokens_per_second_per_gpu,
        "tokens_per_second_per_user": per_user.is_finite().then_some(per_user),
        "p99_ms_ttft_tpot_e2el": figures.p99_ms,
        "share_good": figures.share_met,
        "usd_per_million_output_tokens": figures.usd_per_million_tokens,
        "usd_per_request": figures.usd_per_request,
    })
}

fn comparison(one: &Comparison) -> Value {
    json!({
        "flag": one.flag,
        "chosen": one.chosen,
        "other": one.other,
        "is_step": one.is_step,
        "gain": one.gain,
        "excluded": one.excluded,
        "fails_first": one.fails_first.and_then(|place| LATENCIES.get(place)),
        "waits_for": one.waits_for.map(name),
    })
}
