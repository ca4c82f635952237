use sim_core::compose::{Setup, compose};
use sim_core::operators::Pack;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let pack = Pack::from_json(&std::fs::read(&args[1]).unwrap()).unwrap();
    for path in &args[3..] {
        let config = std::fs::read(path).unwrap();
        for tp in args[2].split(',') {
            let setup = Setup { tensor_parallel_size: tp.parse().unwrap(), ..Setup::default() };
            let start = std::time::Instant::now();
            match compose(&pack, "m", &config, &setup) {
                Err(e) => println!("{path} tp{tp}: {e}"),
                Ok(p) => {
                    let model = sim_core::profile::StepTimeModel::new(&p, &sim_core::profile::StepTimeSettings::vllm_default(&p, 1024, 8192));
                    let t = |b: u32, ctx: u64, chunk: u32| {
                        let mut batch = sim_core::batch::BatchComposition::default();
                        if b > 0 { batch.add_decodes(b, ctx * u64::from(b)); }
                        if chunk > 0 { batch.push(chunk, 0); }
                        match &model { Ok(m) => m.predict(&batch).duration.as_secs_f64() * 1e3, Err(_) => -1.0 }
                    };
                    println!("{} tp{tp}: {:?} w {:.2} GiB B1 {:.2} B8 {:.2} B64 {:.2} B256 {:.2} p512 {:.2} p2048 {:.2} p8192 {:.2}  {}",
                        path.rsplit('/').next().unwrap(), start.elapsed(), p.memory.weights.bytes as f64 / 1073741824.0, t(1,1024,0), t(8,1024,0), t(64,1024,0), t(256,1024,0), t(0,0,512), t(0,0,2048), t(0,0,8192), p.engine.quantization.clone().unwrap_or_default());
                }
            }
        }
    }
}
