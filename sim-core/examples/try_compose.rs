//! Scratch.
use sim_core::compose::{Setup, compose};
use sim_core::operators::Pack;
/// Scratch.
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let pack = Pack::from_json(&std::fs::read(&args[1]).unwrap()).unwrap();
    let config = std::fs::read(&args[3]).unwrap();
    let setup = Setup { tensor_parallel_size: args[2].parse().unwrap(), enable_expert_parallel: args.get(4).is_some(), ..Setup::default() };
    let p = compose(&pack, "m", &config, &setup).unwrap();
    let l = f64::from(p.model.num_hidden_layers);
    let t = &p.step_time;
    println!("layers {l}");
    print!("non_attention us/layer: ");
    for (n, x) in t.non_attention.num_tokens.iter().zip(&t.non_attention.time_us) { print!("{n}:{:.1} ", x / l); }
    println!("\ndecode us/layer");
    println!("ctx {:?}", t.decode_attention.context_tokens);
    for (n, row) in t.decode_attention.num_seqs.iter().zip(&t.decode_attention.time_us) { println!("{n}: {:?}", row.iter().map(|x| x.map(|x| (x / l * 10.0).round() / 10.0)).collect::<Vec<_>>()); }
    println!("prefill us/layer {:?}", t.prefill_attention.prefix_tokens);
    for (n, row) in t.prefill_attention.chunk_tokens.iter().zip(&t.prefill_attention.time_us) { println!("{n}: {:?}", row.iter().map(|x| x.map(|x| (x / l * 10.0).round() / 10.0)).collect::<Vec<_>>()); }
}
