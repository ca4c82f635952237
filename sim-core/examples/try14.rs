use sim_core::scenario::{Scenario, command};
use std::io::Read;
fn main() {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).unwrap();
    for text in text.split("\n=====\n") {
        println!("<<< {text}");
        let before = Scenario::from_flags([("max-num-seqs", Some("16")), ("max-model-len", Some("4096"))]).unwrap();
        match command::read(text, &before) {
            Err(e) => println!("  ERR {e}"),
            Ok(r) => {
                println!("  model {:?} programs {:?}", r.model, r.programs.iter().map(|p| p.name()).collect::<Vec<_>>());
                for (f, v) in r.scenario.flags() { println!("  --{f} {}", v.unwrap_or_default()); }
                for x in &r.set_aside { println!("  aside {} {:?}", x.flag, x.value); }
                for x in &r.unknown { println!("  unknown {x}"); }
                for x in &r.refused { println!("  REFUSED {x}"); }
                for x in &r.kept { println!("  kept {x}"); }
                for x in &r.yielded { println!("  yielded {}: {}", x.flag, x.why); }
                for x in &r.left_over { println!("  left {x}"); }
            }
        }
    }
}
