//! A run as text: the same flags are the same run, whether typed, linked or pasted; and nothing is dropped in silence.

use proptest::prelude::*;
use sim_core::config::flags::{BENCH_SERVE, FlagEffect, SERVE};
use sim_core::scenario::command::{self, Program};
use sim_core::scenario::link::{Link, MAX_FRAGMENT_BYTES, MAX_INFLATED_BYTES};
use sim_core::scenario::{AskedBy, AskedFor, Asking, FLAGS, Flag, Form, Part, Scenario};

use crate::draws::draws;

pub(crate) fn scenario(flags: &[(&str, &str)]) -> Scenario {
    Scenario::from_flags(flags.iter().map(|&(flag, value)| (flag, Some(value)))).expect("flags of a test")
}

/// A value that the flag takes.
fn value(flag: &Flag, number: u32) -> String {
    match (flag.form, flag.name) {
        (Form::Integer, "data-parallel-size") => (number + 1).to_string(),
        (Form::Integer, "prefill-replicas" | "decode-replicas") => (number % 1_025).to_string(),
        (Form::Number, "kv-offloading-latency" | "kv-tier-latency" | "kv-tier-lookup-latency") => {
            format!("{}.5", number % 100)
        }
        (Form::Number, "kv-transfer-failure-rate") => format!("0.{number}"),
        (Form::Integer, "replicas") => (number % 1_024 + 1).to_string(),
        (Form::Integer, "retry-max-retries" | "migration-limit") => (number % 101).to_string(),
        (Form::Integer, _) => number.to_string(),
        (Form::Number, _) => format!("{number}.5"),
        (Form::Choice(choices), _) => choices[number as usize % choices.len()].to_owned(),
        (Form::Switch, _) => (number.is_multiple_of(2)).to_string(),
        (Form::List, "price") => format!("h100-sxm={number}.5 l40s=2"),
        (Form::List, "replica-fails" | "prefill-replica-fails" | "decode-replica-fails") => {
            format!("{number}@{number}..{} 7@1..", number + 1)
        }
        (Form::List, _) => format!("ttft:{number} tpot:{}.25", number / 7),
        (Form::Text, "random-range-ratio") => "{\"input\": 0.25, \"output\": 0.5}".to_owned(),
        (Form::Text, "percentile-metrics") => "ttft,e2el".to_owned(),
        (Form::Text, "metric-percentiles") => "50,99.9".to_owned(),
        (Form::Text, "prefix-cache-retention-interval") => "None".to_owned(),
        (Form::Text, "speculative-config") => {
            format!("{{\"method\": \"ngram\", \"num_speculative_tokens\": {number}}}")
        }
        (Form::Text, "kv-transfer-config") => {
            let tiers = "[{\"type\": \"fs\", \"root_dir\": \"/kv\"}]";
            let tiers = format!("\"spec_name\": \"TieringOffloadingSpec\", \"secondary_tiers\": {tiers}");
            let extra = format!("{{\"cpu_bytes_to_use\": {}, \"eviction_policy\": \"arc\", {tiers}}}", number + 1);
            let (connector, extra_config) =
                ("\"kv_connector\": \"OffloadingConnector\"", "\"kv_connector_extra_config\"");
            format!("{{{connector}, \"kv_role\": \"kv_both\", {extra_config}: {extra}}}")
        }
        (Form::Text, "spec-acceptance-rates") => format!("0.5,0.{number}"),
        (Form::Text, "spec-acceptance-sequence") => format!("{number},0"),
        (Form::Text, "pass-noise") => format!("0.{number},0.5,0.01,{number}"),
        (Form::Text, "client-work") => format!("{number}.5,25"),
        (Form::Text, "router-args") => format!("balance-abs-threshold={number},cache-threshold=0.{number}"),
        (Form::Text, "autoscaler" | "prefill-autoscaler" | "decode-autoscaler") => {
            format!("saturation:max-replicas=9,startup-time={number}.5")
        }
        (Form::Text, "prefill-args" | "decode-args") => format!("--max-num-seqs={number} --no-async-scheduling"),
        (Form::Text, "columns") => format!("time=when,prompt=tokens {number}"),
        (Form::Text, "session-turns" | "session-prefix-len" | "session-input-len" | "session-output-len") => {
            format!("1..1{number}")
        }
        (Form::Text, "think-time" | "tool-calls" | "tool-time" | "tool-output-len") => format!("exp:{number}.5"),
        (Form::Text, "gpu") => format!("gpu-{number}"),
        (Form::Text, "dtype") => "bfloat16".to_owned(),
        (Form::Text, "quantization") => "fp8".to_owned(),
        (Form::Text, "kv-cache-dtype") => "fp8_e4m3".to_owned(),
        (Form::Text, _) => format!("fünf & sechs=7 #%+'\"{number}"),
    }
}

pub(crate) fn scenarios() -> impl Strategy<Value = Scenario> {
    let flags = proptest::collection::vec((0..FLAGS.len(), 0..10_000_u32), 0..20);
    flags.prop_map(|flags| {
        let mut scenario = Scenario::default();
        for (place, number) in flags {
            let flag = &FLAGS[place];
            scenario.set(flag.name, Some(&value(flag, number))).expect("a value the flag takes");
        }
        scenario
    })
}

fn asking() -> impl Strategy<Value = Asking> {
    let question = proptest::sample::select(AskedFor::ALL.to_vec());
    let (share, num_seeds) = (proptest::option::of(0.01..=1.0), proptest::option::of(1_u32..=100));
    let by = proptest::sample::select(AskedBy::ALL.to_vec());
    let num_gpus = proptest::option::of(1_u32..=100_000);
    (question, by, share, num_seeds, num_gpus, any::<bool>()).prop_map(
        |(question, by, share, num_seeds, num_gpus, is_for_throughput)| Asking {
            question,
            by,
            share,
            num_seeds,
            is_for_throughput,
            num_gpus,
        },
    )
}

proptest! {
    #![proptest_config(draws(300))]

    #[test]
    fn a_link_says_what_was_put_into_it(
        scenario in scenarios(),
        profile_hash in proptest::option::of(any::<u64>()),
        profile_file in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..500)),
        dataset_file in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..500)),
        asking in asking(),
    ) {
        let link = Link {
            scenario,
            profile: Some("my-gpu_8b.v2".to_owned()),
            profile_hash,
            profile_file,
            config_hash: profile_hash,
            config_file: dataset_file.clone(),
            pack_hash: profile_hash,
            pack_file: dataset_file.clone(),
            dataset_hash: profile_hash,
            dataset_file,
            asking,
            made_by: Some("1.2.3".to_owned()),
        };
        let fragment = link.to_fragment();
        prop_assert!(fragment.starts_with("#v=1&"), "{fragment}");
        prop_assert!(fragment.bytes().all(|b| b.is_ascii_graphic() && !b"\"'<>()\\`".contains(&b)), "{fragment}");
        prop_assert_eq!(Link::from_fragment(&fragment), Ok(link.clone()));
        let behind_an_address = format!("https://example.org/page/{fragment}");
        prop_assert_eq!(Link::from_fragment(&behind_an_address), Ok(link));
    }

    #[test]
    fn commands_say_what_was_put_into_them(scenario in scenarios()) {
        let both = [Program::Serve, Program::BenchServe].map(|program| command::write(program, &scenario, "a/model", &[]));
        let ours = command::write(Program::Simulate, &scenario, "", &[]);
        let read = command::read(&both.join("\n"), &Scenario::default());
        let read = read.expect("commands of ours");
        prop_assert_eq!(&read.refused, &Vec::<String>::new());
        let model = scenario.get("model").unwrap_or("a/model");
        prop_assert_eq!(read.model.as_deref(), Some(model));
        let mut without_ours = scenario.clone();
        without_ours.set("model", Some(model)).expect("a name");
        for flag in FLAGS.iter().filter(|flag| !flag.is_vllms) {
            without_ours.unset(flag.name);
        }
        prop_assert_eq!(read.scenario.flags(), without_ours.flags());
        let read = command::read(&ours, &Scenario::default()).expect("a command of ours");
        prop_assert_eq!(read.scenario.flags(), scenario.flags());
    }

    #[test]
    fn forgetting_a_flag_leaves_the_others(scenario in scenarios(), place in 0..FLAGS.len()) {
        let mut less = scenario.clone();
        less.unset(FLAGS[place].name);
        let expect: Vec<_> = scenario.given().filter(|(flag, _)| flag.name != FLAGS[place].name).collect();
        prop_assert_eq!(less.given().collect::<Vec<_>>(), expect);
        let again = Scenario::from_flags(less.flags().iter().map(|(flag, value)| (flag.as_str(), value.as_deref())));
        let again = again.expect("flags that were taken before");
        prop_assert_eq!((again.engine(), again.workload(), again.report()), (less.engine(), less.workload(), less.report()));
    }

    #[test]
    fn no_text_makes_a_reader_fail(text in "\\PC{0,200}") {
        // The answer does not matter here, that there is one does.
        drop(Link::from_fragment(&text));
        drop(Link::from_fragment(&format!("#v=1&{text}")));
        drop(command::read(&format!("vllm serve {text}"), &Scenario::default()));
    }
}

#[test]
fn every_simulated_flag_of_vllm_is_a_flag_of_the_scenario() {
    // Read by the command line alone; keys of the drafter's.
    let elsewhere = ["tokenizer", "spec-method", "spec-model", "spec-tokens"];
    let acts = |effect| matches!(effect, FlagEffect::Simulated | FlagEffect::Composed);
    let simulated = SERVE.iter().chain(BENCH_SERVE).filter(|group| acts(group.effect));
    let names: Vec<&str> =
        simulated.flat_map(|group| group.flags).map(|flag| flag.name.trim_start_matches('-')).collect();
    let missing: Vec<&&str> = names
        .iter()
        .filter(|name| !elsewhere.contains(name) && !FLAGS.iter().any(|flag| flag.name == **name))
        .collect();
    assert!(missing.is_empty(), "vLLM has them, they are said to be simulated, and nobody can set them: {missing:?}");
    let unknown: Vec<&str> = FLAGS
        .iter()
        .filter(|flag| flag.is_vllms && flag.name != "enforce-eager" && !names.contains(&flag.name))
        .map(|flag| flag.name)
        .collect();
    assert!(unknown.is_empty(), "said to be vLLM's: {unknown:?}");
}

/// `text` is refused, with a message that contains `expect`.
#[track_caller]
fn check_link(text: &str, expect: &str) {
    match Link::from_fragment(text) {
        Ok(link) => panic!("{text:.60} was taken as {link:?}"),
        Err(error) => assert!(error.to_string().contains(expect), "{text:.60} says {error:?} without {expect:?}"),
    }
}

#[test]
fn hostile_links_are_refused_by_name() {
    check_link("", "#v=1");
    check_link("#request-rate=8", "#v=1");
    check_link("#v=0", "#v=1");
    check_link("#v=x", "#v=1");
    check_link("#v=99999999999", "#v=1");
    check_link("#v=2", "newer version (format 2, this one knows 1)");
    check_link("#v=1&v=1", "--v");
    check_link("#v=1&max-num-seqs=64&max-num-seqs=64", "max-num-seqs comes twice");
    check_link("#v=1&ask=load&ask=load", "ask comes twice");
    check_link("#v=1&ask=everything", "ask: it must be load, flags, gpu or what-if");
    check_link("#v=1&ask-by=people", "ask-by: it must be rate, concurrency or users");
    check_link("#v=1&ask-for=money", "ask-for: it must be cost or throughput");
    check_link("#v=1&ask-share=0", "ask-share: it must be a share from 0.01 to 1");
    check_link("#v=1&ask-gpus=0", "ask-gpus: it must be a whole number from 1 to 100000");
    check_link("#v=1&ask-seeds=101", "ask-seeds: it must be a whole number from 1 to 100");
    check_link("#v=1&enable-prefix-caching&no-enable-prefix-caching", "no-enable-prefix-caching comes twice");
    check_link("#v=1&max-num-seqs=many", "--max-num-seqs");
    check_link("#v=1&max-num-seqs", "--max-num-seqs");
    check_link("#v=1&enable-lora=", "--enable-lora is not simulated");
    check_link("#v=1&speculative-config=%7B%22method%22:%22suffix%22%7D", "method \"suffix\" is not simulated");
    check_link("#v=1&no-such-flag=1", "no such flag");
    check_link("#v=1&goodput=ttft", "goodput");
    check_link("#v=1&profile=../../secret", "profile: it must be a name");
    check_link("#v=1&profile=https://example.org/x", "profile: it must be a name");
    check_link("#v=1&profile-hash=12", "profile-hash");
    check_link("#v=1&profile-z=%00", "profile-z");
    check_link("#v=1&profile-z=AAAA", "profile-z");
    check_link("#v=1&seed=%zz", "seed: broken percent-encoding");
    check_link("#v=1&seed=%ff%fe", "seed: broken percent-encoding");
    check_link("#v=1&seed=%", "seed: broken percent-encoding");
    check_link(&format!("#v=1&dataset-path={}", "x".repeat(5_000)), "limit is 4096");
    check_link(&format!("#v=1&sim={}", "x".repeat(MAX_FRAGMENT_BYTES)), "limit is 65536");
    check_link(&format!("#v=1{}", "&a=1".repeat(300)), "more than 200 settings");
}

#[test]
fn a_file_that_inflates_without_end_is_refused() {
    let bomb = Link { profile_file: Some(vec![0; MAX_INFLATED_BYTES + 1]), ..Link::default() }.to_fragment();
    assert!(bomb.len() < 10_000, "it is small as long as it is deflated: {} bytes", bomb.len());
    check_link(&bomb, "more than 1048576 bytes when inflated");
    let largest = Link { profile_file: Some(vec![0; MAX_INFLATED_BYTES]), ..Link::default() };
    assert_eq!(Link::from_fragment(&largest.to_fragment()), Ok(largest), "the limit itself");
}

#[test]
fn links_of_every_version_are_read_for_ever() {
    let text = include_str!("../../data/links/v1.txt").trim();
    let link = Link::from_fragment(text).expect("a link that was handed out");
    let expect = scenario(&[
        ("max-num-seqs", "64"),
        ("enable-prefix-caching", "false"),
        ("gpu-memory-utilization", "0.85"),
        ("num-prompts", "500"),
        ("request-rate", "8"),
        ("random-range-ratio", "{\"input\": 0.25, \"output\": 0.5}"),
        ("goodput", "ttft:500 tpot:50"),
    ]);
    assert_eq!(link.scenario, expect);
    assert_eq!(link.profile.as_deref(), Some("h100-sxm_llama-3.1-8b_bf16_tp1"));
    assert_eq!(link.profile_hash, Some(0x0123_4567_89ab_cdef));
    assert_eq!(link.profile_file.as_deref(), Some(&b"{\"a\": \"profile\"}"[..]));
}

/// `text` is read; its flags, those set aside and those refused are `expect`.
#[track_caller]
fn check_command(text: &str, flags: &[(&str, &str)], set_aside: &[&str], refused: &[&str]) {
    let read = command::read(text, &Scenario::default()).unwrap_or_else(|error| panic!("{text}: {error}"));
    let mut found = read.scenario.clone();
    found.unset("model");
    assert_eq!(found, scenario(flags), "{text}");
    assert_eq!(read.set_aside.iter().map(|flag| flag.flag.as_str()).collect::<Vec<_>>(), set_aside, "{text}");
    assert_eq!(read.refused.len(), refused.len(), "{text}: {:?}", read.refused);
    for (got, expect) in read.refused.iter().zip(refused) {
        assert!(got.contains(expect), "{text}: {got:?} lacks {expect:?}");
    }
}

#[test]
fn pasted_commands_are_taken_flag_by_flag() {
    let seqs = [("max-num-seqs", "64")];
    check_command("vllm serve meta-llama/Llama-3.1-8B --max-num-seqs 64", &seqs, &[], &[]);
    check_command("vllm serve m --max_num_seqs=64 --host 0.0.0.0 --port 80", &seqs, &["--host", "--port"], &[]);
    check_command("VLLM_USE_V1=1 ~/bin/vllm serve m \\\n  --max-num-seqs 64 && echo done", &seqs, &[], &[]);
    check_command("python3 -m vllm.entrypoints.openai.api_server --model m --max-num-seqs 64", &seqs, &[], &[]);
    check_command("docker run --gpus all vllm/vllm-openai:v0.32.0 --model m --max-num-seqs 64", &seqs, &[], &[]);
    check_command("# a comment\n\nvllm serve m -tp 1", &[("tensor-parallel-size", "1")], &[], &[]);
    check_command("vllm serve m --no-enable-prefix-caching", &[("enable-prefix-caching", "false")], &[], &[]);
    check_command("vllm serve m --load-format auto --max-num-seqs 64", &seqs, &["--load-format"], &[]);
    check_command("vllm serve m --speculative-config.method suffix", &[], &[], &["method \"suffix\" is not simulated"]);
    check_command("vllm serve m stray --max-num-seqs 64", &seqs, &[], &["\"stray\" belongs to no flag"]);
    let bench = [("num-prompts", "200"), ("request-rate", "inf"), ("goodput", "ttft:500 tpot:50")];
    check_command(
        "vllm bench serve --model m --goodput ttft:500 tpot:50 --num-prompts 200 --request-rate inf --save-result",
        &bench,
        &["--save-result"],
        &[],
    );
    check_command(
        "vllm serve m --max-num-seqs 64\nvllm bench serve --num-prompts 200",
        &[("max-num-seqs", "64"), ("num-prompts", "200")],
        &[],
        &[],
    );
}

#[test]
fn a_pasted_command_chooses_model_formats_and_parallelism_but_no_gpu() {
    let before = scenario(&[("gpu", "h200-sxm"), ("model", "a/b"), ("dtype", "float16")]);
    let text = "vllm serve Qwen/Qwen3-30B-A3B -q fp8 --kv-cache-dtype fp8 -dp 2 -ep -tp 4";
    let read = command::read(text, &before).expect("a command");
    let expect = [
        ("model", "Qwen/Qwen3-30B-A3B"),
        ("gpu", "h200-sxm"),
        ("dtype", "float16"),
        ("quantization", "fp8"),
        ("kv-cache-dtype", "fp8"),
        ("data-parallel-size", "2"),
        ("enable-expert-parallel", "true"),
        ("tensor-parallel-size", "4"),
    ];
    assert_eq!(read.scenario, scenario(&expect));
    assert!(read.refused.is_empty() && read.set_aside.is_empty(), "{read:?}");
    let composition = read.scenario.composition().expect("flags of a model");
    assert_eq!((composition.model_name(), composition.gpu_key()), ("Qwen/Qwen3-30B-A3B", "h200-sxm"));
    assert_eq!((composition.setup.tensor_parallel_size, composition.setup.data_parallel_size), (4, 2));
    let written = command::write(Program::Serve, &read.scenario, "", &[]);
    assert_eq!(command::read(&written, &before).expect("a command").scenario, read.scenario, "{written}");
    let client = command::read("vllm bench serve --model served --num-prompts 3", &before).expect("a command");
    assert_eq!(client.scenario.get("model"), Some("a/b"), "a client may call it as it likes");
    assert_eq!(Scenario::default().composition(), None, "nothing was asked for");
}

#[test]
fn what_is_no_command_is_said_so() {
    let read = |text: &str| command::read(text, &Scenario::default()).expect_err("no command").to_string();
    assert!(read("").contains("vllm serve"), "{}", read(""));
    assert!(read("rm -rf /").contains("vllm serve"));
    assert!(read("vllm serve 'm").contains("not closed"));
    assert!(read(&"x".repeat(100_000)).contains("limit is 65536"));
}

#[test]
fn each_part_of_a_scenario_is_of_one_program() {
    for flag in FLAGS {
        let read = command::write(Program::Serve, &scenario(&[(flag.name, &value(flag, 4))]), "m", &[]);
        let is_served = read.contains(&format!("--{}", flag.name)) || read.contains(&format!("--no-{}", flag.name));
        // The model's name stands first, without a flag.
        let is_flag = flag.name != "model" && flag.is_vllms;
        assert_eq!(is_served, matches!(flag.part, Part::Model | Part::Engine) && is_flag, "{}: {read}", flag.name);
    }
}
