//! What a run or a capacity costs, where a price is given: `--price`.

use sim_core::answers::capacity::{Answer, LoadKind};
use sim_core::answers::cost::{Cost, usd_per_gpu_hour};
use sim_core::answers::recommend::Figures;
use sim_core::answers::recommend::figures::Hardware;
use sim_core::operators::gpu_table;
use sim_core::scenario::Scenario;

use super::profile_choice::{Origin, ProfileChoice};

/// What it costs, or in words why that is not known; `None` if no price is given.
pub(crate) type Told = Option<Result<Cost, String>>;

/// Of engines with so many GPUs in all that answer so many requests and give so many output tokens a second.
pub(crate) fn of_run(scenario: &Scenario, choice: &ProfileChoice, num_gpus: u32, rates: (f64, f64)) -> Told {
    let usd = price(scenario, choice)?;
    Some(usd.map(|usd| Cost::new(usd, num_gpus, rates.0, rates.1)))
}

/// Of an engine at what it carries.
pub(crate) fn of_capacity(scenario: &Scenario, choice: &ProfileChoice, kind: LoadKind, answer: &Answer) -> Told {
    let usd = price(scenario, choice)?;
    let num_stages = scenario.resolve(&choice.profile).map_or(1, |engine| engine.config.pipeline_parallel_size);
    let num_gpus = choice.profile.hardware.num_devices * num_stages;
    let point = answer.at_capacity().ok_or_else(|| "nothing is carried, so nothing has a cost".to_owned());
    Some(usd.and_then(|usd| {
        let hardware = Hardware { num_gpus, usd_per_gpu_hour: Some(usd) };
        let figures = Figures::new(kind, point?, hardware);
        let tokens_per_second = figures.tokens_per_second_per_gpu * f64::from(num_gpus);
        Ok(Cost::new(usd, num_gpus, figures.requests_per_second, tokens_per_second))
    }))
}

fn price(scenario: &Scenario, choice: &ProfileChoice) -> Option<Result<f64, String>> {
    let given = scenario.report().prices();
    given.gpus().next()?;
    let name = &choice.profile.hardware.name;
    let gpu = match &choice.origin {
        Origin::Composed { .. } => scenario.composition().map(|composition| composition.gpu_key().to_owned()),
        _ => gpu_table::known().into_iter().find(|gpu| gpu.name == *name).map(|gpu| gpu.key),
    };
    Some(usd_per_gpu_hour(given, gpu.as_deref()))
}
