//! How long one question to the profile takes. A simulation asks once per pass, so this bounds passes per second.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use sim_core::batch::BatchComposition;
use sim_core::profile::{Profile, StepTimeModel, StepTimeSettings};

const PROFILE: &[u8] = include_bytes!("../../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");

fn predict(criterion: &mut Criterion) {
    let profile = Profile::from_json(PROFILE).expect("the shipped profile is valid");
    let settings = StepTimeSettings::vllm_default(&profile, 256, 8192);
    let model = StepTimeModel::new(&profile, &settings).expect("its own settings fit it");

    let mut decode = BatchComposition::default();
    for i in 0..100 {
        decode.push(1, 1500 + 7 * i);
    }
    criterion.bench_function("predict, 100 decodes", |bencher| {
        bencher.iter(|| model.predict(black_box(&decode)));
    });

    let mut mixed = decode.clone();
    mixed.push(1500, 0);
    mixed.push(412, 6000);
    criterion.bench_function("predict, 100 decodes and 2 prompt parts", |bencher| {
        bencher.iter(|| model.predict(black_box(&mixed)));
    });

    criterion.bench_function("from_json, a whole profile", |bencher| {
        bencher.iter(|| Profile::from_json(black_box(PROFILE)));
    });
}

criterion_group!(benches, predict);
criterion_main!(benches);
