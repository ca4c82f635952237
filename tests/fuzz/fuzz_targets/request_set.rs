//! Any requests whatever: a set takes them or refuses them, and what it took it gives back unchanged in length.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sim_core::request::TokenRun;
use sim_core::request_set::{NewRequest, RequestSet};

#[derive(Arbitrary, Debug)]
struct Input {
    prompt: Vec<(u64, u32)>,
    output: Vec<(u64, u32)>,
    max_tokens: u32,
    stops: bool,
    priority: i32,
    cache_salt: u32,
}

fn runs(pairs: &[(u64, u32)]) -> Vec<TokenRun> {
    pairs.iter().map(|&(start, len)| TokenRun { start, len }).collect()
}

fuzz_target!(|inputs: Vec<Input>| {
    let mut set = RequestSet::new();
    for (rank, input) in (0_u32..).zip(&inputs) {
        let (prompt, output) = (runs(&input.prompt), runs(&input.output));
        let accepted = set.push(&NewRequest {
            prompt: &prompt,
            output: &output,
            max_tokens: input.max_tokens,
            stops: input.stops,
            priority: input.priority,
            arrival_order: u64::from(rank),
            id_rank: rank,
            cache_salt: input.cache_salt,
        });
        match accepted {
            Ok(id) => {
                let request = set.get(id);
                let stored: u64 = set.runs(request).iter().map(|run| u64::from(run.len)).sum();
                let given: u64 = prompt.iter().chain(&output).map(|run| u64::from(run.len)).sum();
                assert_eq!(stored, given, "tokens were lost or invented");
                assert_eq!(stored, u64::from(request.num_prompt_tokens) + u64::from(request.num_output_tokens));
                assert!(request.num_output_tokens <= request.max_tokens);
            }
            Err(refused) => assert!(!refused.to_string().is_empty()),
        }
    }
});
