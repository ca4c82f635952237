//! An operator pack: what is accepted is written and read back unchanged, and composes a valid profile of a dense model and
//! of one with experts, on one GPU and on four, or says in a line why not.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sim_core::compose::{Setup, compose};
use sim_core::models::Catalogue;
use sim_core::operators::Pack;
use sim_core::profile::Profile;

/// Names and `config.json` of the models.
static MODELS: LazyLock<Vec<(&str, Vec<u8>)>> = LazyLock::new(|| {
    let list = Catalogue::from_json(include_bytes!("../../../www/models.json")).expect("the list that ships");
    let config = |name| list.find(name).expect("a model of the list").config_json();
    ["meta-llama/Llama-3.1-8B", "MiniMaxAI/MiniMax-M2.5"].map(|name| (name, config(name))).to_vec()
});

fuzz_target!(|bytes: &[u8]| {
    let pack = match Pack::from_json(bytes) {
        Ok(pack) => pack,
        Err(refused) => {
            assert!(!refused.to_string().is_empty());
            return;
        }
    };
    let written = pack.to_json().expect("what is read can be written");
    let again = Pack::from_json(written.as_bytes()).expect("what is written can be read");
    assert_eq!(again, pack, "writing changed the pack");
    for (name, config) in &*MODELS {
        for tensor_parallel_size in [1, 4] {
            let setup = Setup { tensor_parallel_size, ..Setup::default() };
            match compose(&pack, name, config, &setup) {
                Ok(profile) => check(&profile),
                Err(refused) => assert!(!refused.to_string().is_empty(), "{name} is refused without a word"),
            }
        }
    }
});

/// What is composed is a file that can be read again.
fn check(profile: &Profile) {
    let written = profile.to_json().expect("what is composed can be written");
    assert!(Profile::from_json(written.as_bytes()).is_ok(), "what is composed cannot be read");
}
