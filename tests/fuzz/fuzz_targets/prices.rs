//! A list of prices, and prices given by hand: what is accepted is a price above 0 of a GPU that is known, and says when and
//! by whom.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sim_core::operators::gpu_table;
use sim_core::operators::prices::Prices;

fuzz_target!(|bytes: &[u8]| {
    match Prices::from_json(bytes) {
        Ok(prices) => check(&prices),
        Err(refused) => assert!(!refused.to_string().is_empty()),
    }
    if let Some(prices) = std::str::from_utf8(bytes).ok().and_then(Prices::given) {
        check(&prices);
    }
});

fn check(prices: &Prices) {
    for gpu in gpu_table::known() {
        if let Some(price) = prices.of(&gpu.key) {
            assert!(price.usd_per_gpu_hour > 0.0 && price.usd_per_gpu_hour.is_finite(), "{price:?}");
        }
    }
    assert_eq!(prices.of(""), None, "a GPU without a name has a price");
}
