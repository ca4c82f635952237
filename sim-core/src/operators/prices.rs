//! What an hour of a GPU costs: a list with date and source of each price (`www/prices.json`), and prices of the user's
//! own on top.

use alloc::borrow::ToOwned as _;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use serde_json::Value;

use super::gpu_table;

/// Most bytes of a list.
pub const MAX_BYTES: usize = 1 << 20;
/// Most prices of a list.
const MAX_PRICES: usize = 1000;
/// Highest price, in USD.
const MAX_USD: f64 = 1e6;

/// A price.
#[derive(Debug, Clone, PartialEq)]
pub struct Price {
    /// Key of the GPU.
    pub gpu: String,
    /// US dollars an hour for one GPU.
    pub usd_per_gpu_hour: f64,
    /// When it was asked for.
    pub date: String,
    /// By whom.
    pub source: String,
}

/// Prices of GPUs; of several for one GPU the last holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prices {
    prices: Vec<Price>,
}

/// Why prices are not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PriceError {
    /// The list has more than [`MAX_BYTES`].
    TooLarge {
        /// Bytes of the file.
        num_bytes: usize,
    },
    /// Not JSON, or no object with `prices`.
    Json {
        /// What, and where.
        message: String,
    },
    /// A line of the list lacks something.
    Line {
        /// Its place, from 0.
        index: usize,
        /// What it needs.
        need: &'static str,
    },
}

impl fmt::Display for PriceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { num_bytes } => write!(f, "prices: {num_bytes} bytes; the limit is {MAX_BYTES}"),
            Self::Json { message } => write!(f, "prices: {message}"),
            Self::Line { index, need } => write!(f, "prices: line {index} needs {need}"),
        }
    }
}

impl core::error::Error for PriceError {}

impl Prices {
    /// Reads a list: `{"prices": [{"gpu": …, "usd_per_gpu_hour": …, "date": …, "source": …}]}`.
    ///
    /// # Errors
    /// See [`PriceError`].
    pub fn from_json(json: &[u8]) -> Result<Self, PriceError> {
        if json.len() > MAX_BYTES {
            return Err(PriceError::TooLarge { num_bytes: json.len() });
        }
        let wrong = |message: String| PriceError::Json { message };
        let root: Value = serde_json::from_slice(json).map_err(|error| wrong(error.to_string()))?;
        let lines = root.get("prices").and_then(Value::as_array);
        let lines = lines.filter(|lines| lines.len() <= MAX_PRICES);
        let lines =
            lines.ok_or_else(|| wrong(alloc::format!("an object with \"prices\", at most {MAX_PRICES}, is needed")))?;
        let price = |(index, line): (usize, &Value)| {
            let need = |need| PriceError::Line { index, need };
            let text = |field: &str| line.get(field).and_then(Value::as_str).map(str::to_owned);
            let usd = line.get("usd_per_gpu_hour").and_then(Value::as_f64).filter(|usd| is_price(*usd));
            Ok(Price {
                gpu: text("gpu")
                    .and_then(|gpu| key(&gpu))
                    .ok_or_else(|| need("\"gpu\", a key that `profiler gpus` lists"))?,
                usd_per_gpu_hour: usd
                    .ok_or_else(|| need("\"usd_per_gpu_hour\", a number above 0 and below a million"))?,
                date: text("date").ok_or_else(|| need("\"date\""))?,
                source: text("source").ok_or_else(|| need("\"source\""))?,
            })
        };
        Ok(Self { prices: lines.iter().enumerate().map(price).collect::<Result<_, _>>()? })
    }

    /// Prices as they are given by hand: `GPU=USD`, separated by spaces or commas. A key may be short for the first GPU
    /// that begins with it and a dash: `h100` for `h100-sxm`. `None` if a GPU is not known or a price is none.
    #[must_use]
    pub fn given(text: &str) -> Option<Self> {
        let price = |word: &str| {
            let (gpu, usd) = word.split_once('=')?;
            Some(Price {
                gpu: key(gpu)?,
                usd_per_gpu_hour: usd.parse().ok().filter(|usd| is_price(*usd))?,
                date: String::new(),
                source: "given".to_owned(),
            })
        };
        let words = text.split([' ', ',']).filter(|word| !word.is_empty());
        Some(Self { prices: words.map(price).collect::<Option<_>>()? })
    }

    /// These with `others` on top.
    #[must_use]
    pub fn with(mut self, others: &Self) -> Self {
        self.prices.extend(others.prices.iter().cloned());
        self
    }

    /// Keys of the GPUs that have a price, one for each price.
    pub fn gpus(&self) -> impl Iterator<Item = &str> {
        self.prices.iter().map(|price| price.gpu.as_str())
    }

    /// The price that holds for the GPU called `key`.
    #[must_use]
    pub fn of(&self, key: &str) -> Option<&Price> {
        self.prices.iter().rev().find(|price| price.gpu == key)
    }
}

fn is_price(usd: f64) -> bool {
    usd > 0.0 && usd < MAX_USD
}

/// The GPU's whole key.
fn key(given: &str) -> Option<String> {
    let is_short_for = |key: &str| key.strip_prefix(given).is_some_and(|rest| rest.starts_with('-'));
    let known = gpu_table::known();
    let exact = known.iter().find(|gpu| gpu.key == given);
    exact.or_else(|| known.iter().find(|gpu| !given.is_empty() && is_short_for(&gpu.key))).map(|gpu| gpu.key.clone())
}

#[cfg(test)]
mod tests {
    use super::Prices;

    /// What is given means this price of that GPU, or nothing.
    #[track_caller]
    fn check(given: &str, gpu: &str, expect: Option<f64>) {
        let prices = Prices::given(given).unwrap_or_default();
        assert_eq!(prices.of(gpu).map(|price| price.usd_per_gpu_hour), expect, "{given}");
    }

    #[test]
    fn a_price_is_of_a_gpu_that_is_known() {
        check("h100-sxm=2.49", "h100-sxm", Some(2.49));
        check("h100=2.49", "h100-sxm", Some(2.49));
        check("h100=2.49", "h100-pcie", None);
        check("gb200=10 h100=2,h100=3", "h100-sxm", Some(3.0));
        check("h100=0", "h100-sxm", None);
        check("h100=NaN", "h100-sxm", None);
        check("h100", "h100-sxm", None);
        check("=3", "h100-sxm", None);
        check("h1=3", "h100-sxm", None);
    }

    /// A list is refused with this in the reason.
    #[track_caller]
    fn check_list(json: &str, expect: &str) {
        let told = Prices::from_json(json.as_bytes()).map(|_| ()).expect_err("refused");
        assert!(alloc::string::ToString::to_string(&told).contains(expect), "{told}");
    }

    #[test]
    fn a_list_that_lacks_something_says_what_and_where() {
        check_list("[]", "\"prices\"");
        check_list("{", "prices: EOF");
        check_list(r#"{"prices": [{}]}"#, "line 0 needs \"gpu\"");
        check_list(r#"{"prices": [{"gpu": "h100-sxm", "usd_per_gpu_hour": 0}]}"#, "line 0 needs \"usd_per_gpu_hour\"");
        check_list(r#"{"prices": [{"gpu": "h100-sxm", "usd_per_gpu_hour": 2}]}"#, "line 0 needs \"date\"");
    }

    #[test]
    fn the_list_that_ships_is_read() {
        let prices = Prices::from_json(include_bytes!("../../../www/prices.json")).expect("the list");
        assert!(prices.of("h100-sxm").is_some_and(|price| !price.date.is_empty() && price.source.contains("://")));
        assert_eq!(prices.of("gb300"), None, "nobody lists one");
    }
}
