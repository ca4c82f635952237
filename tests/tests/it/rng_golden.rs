//! Random numbers against NumPy's and Python's.
//!
//! Recorded with the workloads of `workload_golden.rs` by `tests/recorder/record_bench_serve.py`.

use serde::Deserialize;
use sim_core::rng::{Pcg64, PythonRandom, RandomState};

fn cases() -> Vec<RngCase> {
    let json = include_str!("../../data/bench_serve/rng.golden.json");
    let cases: Vec<RngCase> = serde_json::from_str(json).expect("cases");
    assert!(!cases.is_empty(), "no case");
    cases
}

#[derive(Deserialize)]
struct RngCase {
    seed: u32,
    generator_integers: Vec<(u32, u32, Vec<u32>)>,
    generator_random: Vec<f64>,
    stream_random: Vec<f64>,
    state_random_sample: Vec<f64>,
    state_randint: Vec<(u32, Vec<u32>)>,
    state_permutation: Vec<u32>,
    state_standard_exponential: Vec<f64>,
    state_standard_normal: Vec<f64>,
    state_gamma: Vec<(f64, Vec<f64>)>,
    python_shuffle: Vec<u32>,
    python_choice: Vec<u32>,
    python_random: Vec<f64>,
}

/// Equal but for the last bits, which logarithms may differ in.
#[track_caller]
fn check_close(got: f64, expect: f64) {
    let tolerance = 1e-13 * expect.abs();
    assert!((got - expect).abs() <= tolerance, "{got} instead of {expect}");
}

#[test]
fn generators_give_the_numbers_of_numpy_and_python() {
    for case in cases() {
        let mut generator = Pcg64::new(case.seed.into());
        for (low, high, expect) in &case.generator_integers {
            let got: Vec<u32> = expect.iter().map(|_| generator.integers(*low, *high)).collect();
            assert_eq!(&got, expect, "integers from {low} to {high}, seed {}", case.seed);
        }
        // Equality of floats is meant: these are the same operations.
        assert_eq!([(); 5].map(|()| generator.random()).to_vec(), case.generator_random);
        let mut stream = Pcg64::stream(case.seed.into(), "input_len");
        assert_eq!([(); 5].map(|()| stream.random()).to_vec(), case.stream_random);

        let mut state = RandomState::new(case.seed);
        assert_eq!([(); 5].map(|()| state.random_sample()).to_vec(), case.state_random_sample);
        for (max, expect) in &case.state_randint {
            let got: Vec<u32> = expect.iter().map(|_| state.randint(*max)).collect();
            assert_eq!(&got, expect, "randint up to {max}, seed {}", case.seed);
        }
        assert_eq!(state.permutation(40), case.state_permutation);
        for expect in case.state_standard_exponential {
            check_close(state.standard_exponential(), expect);
        }
        for expect in case.state_standard_normal {
            check_close(state.standard_normal(), expect);
        }
        for (shape, values) in case.state_gamma {
            for expect in values {
                check_close(state.gamma(shape, 0.5), expect);
            }
        }

        let mut python = PythonRandom::new(case.seed);
        let mut items: Vec<u32> = (0..50).collect();
        python.shuffle(&mut items);
        assert_eq!(items, case.python_shuffle, "shuffle, seed {}", case.seed);
        let counts = [1, 2, 3, 1000, 70_000].into_iter().flat_map(|count| [count; 4]);
        assert_eq!(counts.map(|count| python.randrange(count)).collect::<Vec<_>>(), case.python_choice);
        assert_eq!([(); 5].map(|()| python.random()).to_vec(), case.python_random);
    }
}
