//! Profiles composed of every pack and every model that ships: none panics, times grow with work, and the KV cache is
//! planned or refused in vLLM's words.

use std::path::PathBuf;

use sim_core::batch::BatchComposition;
use sim_core::compose::{ComposeError, Setup, compose};
use sim_core::models::catalogue::Catalogue;
use sim_core::models::settings::Quantization;
use sim_core::models::{KvCacheDtype, ModelSettings, ModelShape};
use sim_core::operators::Pack;
use sim_core::profile::{Profile, StepTimeModel, StepTimeSettings};
use sim_core::scenario::Scenario;

fn www(file: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../www").join(file);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn catalogue() -> Catalogue {
    Catalogue::from_json(&www("models.json")).expect("the list of models")
}

fn pack(key: &str) -> Pack {
    Pack::from_json(&www(&format!("packs/{key}.json"))).expect("a pack")
}

/// Device time of a pass in microseconds.
fn pass_us(model: &StepTimeModel, decodes: u32, context: u64, chunk: (u32, u32)) -> f64 {
    let mut batch = BatchComposition::default();
    if decodes > 0 {
        batch.add_decodes(decodes, u64::from(decodes) * context);
    }
    if chunk.0 > 0 {
        batch.push(chunk.0, chunk.1);
    }
    model.predict(&batch).duration.as_secs_f64() * 1e6
}

/// That more requests, longer contexts, longer prompts and more earlier tokens take no less time.
fn check_monotone(profile: &Profile, label: &str) {
    let settings = StepTimeSettings::vllm_default(profile, 256, 8192);
    let Ok(model) = StepTimeModel::new(profile, &settings) else { return };
    let mut last = 0.0;
    for decodes in [1, 2, 7, 16, 33, 100, 256] {
        let time = pass_us(&model, decodes, 1000, (0, 0));
        assert!(time >= last && time > 0.0, "{label}: {decodes} decodes take {time} us after {last}");
        last = time;
    }
    for (what, passes) in [
        ("contexts", [100, 1000, 5000, 60_000].map(|context| pass_us(&model, 32, context, (0, 0)))),
        ("prompts", [600, 1000, 4000, 9000].map(|tokens| pass_us(&model, 0, 0, (tokens, 0)))),
        ("earlier tokens", [0, 700, 5000, 20_000].map(|earlier| pass_us(&model, 0, 0, (1000, earlier)))),
    ] {
        assert!(passes.windows(2).all(|pair| pair[0] <= pair[1]), "{label}: {what}: {passes:?}");
    }
}

/// Whether a setup cannot be, for a reason that is a user's to know.
fn is_refusal(error: &ComposeError) -> bool {
    matches!(error, ComposeError::Indivisible { .. } | ComposeError::Model(_))
}

#[track_caller]
fn check(key: &str) {
    let (catalogue, pack) = (catalogue(), pack(key));
    let mut composed = 0;
    let mut faults = String::new();
    for entry in catalogue.entries() {
        let config = entry.config_json();
        let is_plain = ModelShape::from_json(&config, &ModelSettings::default())
            .is_ok_and(|shape| shape.formats.mlp == sim_core::models::shape::WeightFormat::Unquantized);
        let formats = if is_plain { vec![None, Quantization::from_name("fp8")] } else { vec![None] };
        for (quantization, tensor_parallel_size) in
            formats.into_iter().flat_map(|format| [1, 2, 4, 8].map(|ranks| (format, ranks)))
        {
            let kv_cache_dtype = if tensor_parallel_size == 2 { KvCacheDtype::Fp8 } else { KvCacheDtype::Auto };
            let setup = Setup { tensor_parallel_size, quantization, kv_cache_dtype, ..Setup::default() };
            let label = format!("{} on {tensor_parallel_size} × {key}", entry.name);
            match compose(&pack, &entry.name, &config, &setup) {
                Ok(profile) => {
                    check_monotone(&profile, &label);
                    // Planned, or refused in vLLM's words.
                    if let Ok(engine) = Scenario::default().resolve(&profile) {
                        assert!(engine.config.num_gpu_blocks > 1, "{label}: no block");
                    }
                    composed += 1;
                }
                Err(error) if is_refusal(&error) => {}
                Err(error) => {
                    faults.push_str(&format!(
                        "{label}: {error}
"
                    ));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{faults}");
    assert!(composed > 300, "{composed} profiles");
}

macro_rules! packs {
    ($($name:ident $key:literal)+) => { $(
        #[test]
        fn $name() {
            check($key);
        }
    )+ };
}

packs! {
    every_model_on_h100 "h100-sxm"
    every_model_on_h200 "h200-sxm"
    every_model_on_b200 "b200-sxm"
    every_model_on_b300 "b300-sxm"
    every_model_on_gb200 "gb200"
    every_model_on_gb300 "gb300"
    every_model_on_l40s "l40s"
    every_model_on_a100 "a100-sxm"
    every_model_on_rtx_pro_6000 "rtx-pro-6000"
}

/// The nine step times of Llama-3.1-8B in bf16 on an H100 that were composed of the same tables by hand when the project
/// began, in milliseconds of operators alone.
#[test]
fn the_nine_figures_of_llama_8b_on_an_h100_are_as_they_were() {
    let catalogue = catalogue();
    let found = catalogue.find("meta-llama/Llama-3.1-8B").expect("it is listed");
    let mut pack = pack("h100-sxm");
    // Those were of bursts: of a GPU without a name nobody published what it keeps up.
    pack.gpu.key = "nameless".to_owned();
    let mut profile = compose(&pack, "m", &found.config_json(), &Setup::default()).expect("it is composed");
    profile.host.outside_graphs = None;
    let settings = StepTimeSettings::vllm_default(&profile, 256, 8192);
    let model = StepTimeModel::new(&profile, &settings).expect("a model");
    let decode = |requests| pass_us(&model, requests, 1024, (0, 0)) / 1e3;
    let prompt = |tokens| pass_us(&model, 0, 0, (tokens, 0)) / 1e3;
    // Rotary embedding and cache writes of decodes, 0.2 ms in all layers, were not counted then.
    const NEWLY_COUNTED: f64 = 0.21;
    for (got, expect) in [
        (decode(1) - NEWLY_COUNTED, 6.175),
        (decode(8) - NEWLY_COUNTED, 6.649),
        (decode(32) - NEWLY_COUNTED, 8.434),
        (decode(64) - NEWLY_COUNTED, 10.546),
        (decode(128) - NEWLY_COUNTED, 12.768),
        (decode(256) - NEWLY_COUNTED, 19.379),
        (prompt(512), 11.560),
        (prompt(2048), 42.850),
        (prompt(8192), 199.420),
    ] {
        assert!(
            (got / expect - 1.0).abs() < 0.04,
            "{got:.3} ms instead of {expect}: {:+.1} %",
            100.0 * (got / expect - 1.0)
        );
    }
}

/// Damaged and absurd sizes are refused or composed, but nothing overflows.
#[test]
fn absurd_sizes_are_refused() {
    let (catalogue, pack) = (catalogue(), pack("a100-sxm"));
    let huge = serde_json::json!(67_108_864);
    for name in ["llama-3.1-8b", "deepseek-v3", "qwen3-next-80b-a3b", "nemotron-h-56b", "gpt-oss-20b"] {
        let Ok(found) = catalogue.find(name) else { continue };
        let config: serde_json::Value = serde_json::from_slice(&found.config_json()).expect("a config");
        let fields: Vec<String> = config.as_object().expect("an object").keys().cloned().collect();
        for field in fields.iter().filter(|field| config[field.as_str()].is_u64()) {
            let mut changed = config.clone();
            changed[field.as_str()] = huge.clone();
            let bytes = serde_json::to_vec(&changed).expect("text");
            for tensor_parallel_size in [1, 8] {
                let setup = Setup { tensor_parallel_size, ..Setup::default() };
                // Either is an answer.
                let _composed = compose(&pack, name, &bytes, &setup).is_ok();
            }
        }
    }
}
