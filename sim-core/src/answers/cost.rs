//! What serving costs: GPUs that are paid by the hour, and what they answer in it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::said::three_digits;
use crate::math;
use crate::operators::prices::Prices;

/// What an engine, or several, cost at a load; in US dollars.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// For an hour of all their GPUs.
    pub usd_per_hour: f64,
    /// For a million output tokens; `None` where none come.
    pub usd_per_million_tokens: Option<f64>,
    /// For a request; `None` where none is answered.
    pub usd_per_request: Option<f64>,
}

impl Cost {
    /// Of so many GPUs at `usd_per_gpu_hour`, which answer so many requests and give so many output tokens a second.
    #[must_use]
    pub fn new(usd_per_gpu_hour: f64, num_gpus: u32, requests_per_second: f64, tokens_per_second: f64) -> Self {
        let usd_per_hour = usd_per_gpu_hour * math::u32_to_f64(num_gpus);
        let each = |count: f64| (count > 0.0).then(|| usd_per_hour / 3600.0 / count);
        Self {
            usd_per_hour,
            usd_per_million_tokens: each(tokens_per_second).map(|usd| 1e6 * usd),
            usd_per_request: each(requests_per_second),
        }
    }

    /// In a clause: `$2.49 an hour; $0.123 for a million output tokens, $0.0000315 a request`.
    #[must_use]
    pub fn told(&self) -> String {
        let [hour, tokens, request] = [Some(self.usd_per_hour), self.usd_per_million_tokens, self.usd_per_request]
            .map(|usd| usd.map(three_digits));
        let hour = hour.unwrap_or_default();
        match tokens.zip(request) {
            Some((tokens, request)) => {
                format!("${hour} an hour; ${tokens} for a million output tokens, ${request} a request")
            }
            None => format!("${hour} an hour; nothing is answered for it"),
        }
    }
}

/// What `given` prices say an hour of a GPU costs: the price of `gpu`; of a profile whose GPU is not of the list (`None`)
/// the one that was given, so that it names it.
///
/// # Errors
/// That none was given, in words.
pub fn usd_per_gpu_hour(given: &Prices, gpu: Option<&str>) -> Result<f64, String> {
    let mut gpus: Vec<&str> = given.gpus().collect();
    gpus.sort_unstable();
    gpus.dedup();
    let others = || gpus.join(", ");
    match (gpu, gpus.as_slice()) {
        (Some(gpu), _) => given.of(gpu).ok_or_else(|| {
            format!("price missing: it runs on {gpu}, and --price is of {}; give --price {gpu}=USD", others())
        }),
        (None, [one]) => given.of(one).ok_or_else(String::new),
        (None, _) => Err(format!(
            "price missing: the profile names no GPU of the list, and --price is of several ({}); give the one that it is",
            others()
        )),
    }
    .map(|price| price.usd_per_gpu_hour)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_said_with_three_digits() {
        let check = |cost: Cost, expect: &str| assert_eq!(cost.told(), expect);
        check(Cost::new(2.5, 2, 10.0, 1000.0), "$5.00 an hour; $1.39 for a million output tokens, $0.000139 a request");
        check(Cost::new(2.5, 1, 0.0, 0.0), "$2.50 an hour; nothing is answered for it");
    }

    #[test]
    fn a_price_is_that_of_the_gpu_it_runs_on() {
        let check = |given: &str, gpu: Option<&str>, expect: Result<f64, &str>| {
            let found = usd_per_gpu_hour(&Prices::given(given).expect("prices"), gpu);
            match expect {
                Ok(usd) => assert_eq!(found, Ok(usd), "{given}"),
                Err(part) => assert!(found.as_ref().is_err_and(|why| why.contains(part)), "{given}: {found:?}"),
            }
        };
        check("h100=2 l40s=1", Some("l40s"), Ok(1.0));
        check("h100=2", Some("l40s"), Err("give --price l40s=USD"));
        check("h100=2", None, Ok(2.0));
        check("h100=2 l40s=1", None, Err("h100-sxm, l40s"));
    }
}
