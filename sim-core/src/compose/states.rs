//! Layers with states: their products, and what convolution and scan take.

use alloc::vec;
use alloc::vec::Vec;

use super::error::ComposeError;
use super::layers::moving_us;
use super::rank::Ranks;
use crate::math;
use crate::models::shape::StateShape;
use crate::operators::Gpu;
use crate::operators::kinds::Operator;
use crate::operators::schema::Pack;
use crate::operators::series::Series;

/// Bytes of a number in a state.
const STATE_BYTES: f64 = 4.0;
/// Share of the tensor cores' peak that a scan reaches: gated delta networks were measured at 0.05 to 0.1.
const SCAN_SHARE: f64 = 0.08;

/// Convolution and scan of a layer on a rank.
#[derive(Debug, Clone)]
pub(super) struct StateTimes {
    /// Of one prompt, over its tokens.
    prompt: Series,
    /// Of requests with one new token, over requests.
    decode: Series,
    /// Whether they follow from bytes and operations alone.
    pub(super) is_formula: bool,
}

impl StateTimes {
    /// Of one prompt part of so many tokens, in microseconds.
    pub(super) fn prompt_us(&self, tokens: u32) -> f64 {
        at(&self.prompt, tokens)
    }

    /// Of so many requests with one new token.
    pub(super) fn decode_us(&self, requests: u32) -> f64 {
        at(&self.decode, requests)
    }
}

/// Beyond the last point in proportion.
fn at(series: &Series, count: u32) -> f64 {
    let count = math::u32_to_f64(count);
    let last = series.counts().last().copied().unwrap_or(count);
    series.at(count) * math::max(count / last, 1.0)
}

/// The products of a layer on a rank.
pub(super) fn products(state: &StateShape, hidden: u32, ranks: Ranks) -> Vec<(u32, u32)> {
    let share = |width: u32| ranks.share(width);
    match *state {
        StateShape::GatedDeltaNet { num_key_heads, num_value_heads, key_head_dim, value_head_dim, .. } => {
            let (keys, values) = (num_key_heads * key_head_dim, num_value_heads * value_head_dim);
            vec![(share(2 * keys + 2 * values), hidden), (share(2 * num_value_heads), hidden), (hidden, share(values))]
        }
        StateShape::KimiDelta { num_heads, head_dim, has_full_gate, .. } => {
            let width = num_heads * head_dim;
            let mut shapes = vec![(share(3 * width), hidden), (share(num_heads), hidden), (hidden, share(width))];
            // The decay's two matrices of the rank of a head, and the output gate's.
            shapes.extend([(head_dim, hidden), (share(width), head_dim)]);
            shapes.extend(if has_full_gate {
                vec![(share(width), hidden)]
            } else {
                vec![(head_dim, hidden), (share(width), head_dim)]
            });
            shapes
        }
        StateShape::Mamba1 { intermediate_size, state_size, time_step_rank, .. } => vec![
            (share(2 * intermediate_size), hidden),
            (time_step_rank + 2 * state_size, share(intermediate_size)),
            (share(intermediate_size), time_step_rank),
            (hidden, share(intermediate_size)),
        ],
        StateShape::Mamba2 { intermediate_size, num_heads, num_groups, state_size, .. } => {
            vec![
                (share(2 * intermediate_size + 2 * num_groups * state_size + num_heads), hidden),
                (hidden, share(intermediate_size)),
            ]
        }
        StateShape::ShortConv { width, .. } => vec![(share(3 * width), hidden), (hidden, share(width))],
    }
}

/// Width of what a state puts out on a rank.
pub(super) fn output_width(state: &StateShape, ranks: Ranks) -> u32 {
    ranks.share(match *state {
        StateShape::GatedDeltaNet { num_value_heads, value_head_dim, .. } => num_value_heads * value_head_dim,
        StateShape::KimiDelta { num_heads, head_dim, .. } => num_heads * head_dim,
        StateShape::Mamba1 { intermediate_size, .. } | StateShape::Mamba2 { intermediate_size, .. } => {
            intermediate_size
        }
        StateShape::ShortConv { width, .. } => width,
    })
}

/// Numbers of a request's state on a rank, and of the inputs that a token brings.
fn sizes(state: &StateShape, ranks: Ranks) -> (f64, f64) {
    let share = |numbers: u64| math::u64_to_f64(numbers) / f64::from(ranks.tensor);
    let product = |a: u32, b: u32, c: u32| u64::from(a).saturating_mul(u64::from(b)).saturating_mul(u64::from(c));
    match *state {
        StateShape::GatedDeltaNet { num_key_heads, num_value_heads, key_head_dim, value_head_dim, .. } => {
            let keys = product(2, num_key_heads, key_head_dim);
            let values = product(1, num_value_heads, value_head_dim);
            (share(product(num_value_heads, key_head_dim, value_head_dim)), share(keys + 2 * values))
        }
        StateShape::KimiDelta { num_heads, head_dim, .. } => {
            (share(product(num_heads, head_dim, head_dim)), share(product(5, num_heads, head_dim)))
        }
        StateShape::Mamba1 { intermediate_size, state_size, .. } => {
            (share(product(1, intermediate_size, state_size)), share(product(3, intermediate_size, 1)))
        }
        StateShape::Mamba2 { intermediate_size, num_groups, state_size, .. } => {
            let inputs = product(2, intermediate_size, 1) + product(2, num_groups, state_size);
            (share(product(1, intermediate_size, state_size)), share(inputs))
        }
        StateShape::ShortConv { width, conv_kernel } => {
            (share(product(1, width, conv_kernel)), share(product(4, width, 1)))
        }
    }
}

/// What convolution and scan take.
pub(super) fn times(state: &StateShape, pack: &Pack, ranks: Ranks) -> Result<StateTimes, ComposeError> {
    let measured = match *state {
        StateShape::GatedDeltaNet { num_key_heads, num_value_heads, .. } => {
            let heads = [ranks.share(num_key_heads), ranks.share(num_value_heads)];
            carried(pack, [Operator::DeltaPrompt, Operator::DeltaDecode], &heads)
        }
        StateShape::KimiDelta { num_heads, .. } => {
            carried(pack, [Operator::KimiDeltaPrompt, Operator::KimiDeltaDecode], &[ranks.share(num_heads)])
        }
        _ => None,
    };
    if let Some([prompt, decode]) = measured {
        return Ok(StateTimes { prompt, decode, is_formula: false });
    }
    let (state_numbers, input_numbers) = sizes(state, ranks);
    let formula = |operator| formula(operator, state_numbers, input_numbers, &pack.gpu);
    let missing = || ComposeError::Operator { operator: "states", gpu: pack.gpu.label.clone() };
    let prompt = formula(Operator::DeltaPrompt).ok_or_else(missing)?;
    let decode = formula(Operator::DeltaDecode).ok_or_else(missing)?;
    Ok(StateTimes { prompt, decode, is_formula: true })
}

/// The curves of the nearest heads, the launch kept, the rest by the ratio of the heads that hold states.
fn carried(pack: &Pack, operators: [Operator; 2], heads: &[u32]) -> Option<[Series; 2]> {
    let one = |operator: Operator| {
        let table = pack.curves.iter().find(|table| table.operator == operator)?;
        let far = |shape: &Vec<u32>| {
            let logs = shape.iter().zip(heads).map(|(&a, &b)| math::ln(f64::from(a) / f64::from(b.max(1))));
            logs.map(|log| log * log).sum::<f64>()
        };
        let place = (0..table.shapes.len()).min_by(|&a, &b| far(&table.shapes[a]).total_cmp(&far(&table.shapes[b])))?;
        let series = Series::of_row(&table.counts, table.time_us.get(place)?)?;
        let ratio = f64::from(*heads.last()?) / f64::from(*table.shapes.get(place)?.last()?);
        let launch = series.times_us().first().copied().unwrap_or(0.0);
        Some(
            series
                .map(|_, time| if far(&table.shapes[place]) < 1e-12 { time } else { launch + (time - launch) * ratio }),
        )
    };
    Some([one(operators[0])?, one(operators[1])?])
}

/// Where nothing was measured: what is read and written at the usual share of the bandwidth, what is computed at a
/// scan's usual share of the peak, and two launches.
fn formula(operator: Operator, state_numbers: f64, input_numbers: f64, gpu: &Gpu) -> Option<Series> {
    const COUNTS: [u32; 9] = [1, 8, 32, 128, 512, 1024, 4096, 16384, 65536];
    let points = COUNTS.iter().map(|&count| {
        let count = math::u32_to_f64(count);
        let states = if operator == Operator::DeltaDecode { count } else { 1.0 };
        let bytes = 2.0 * states * state_numbers * STATE_BYTES + 2.0 * count * input_numbers * 2.0;
        let compute = 6.0 * count * state_numbers / (SCAN_SHARE * gpu.bf16_flops) * 1e6;
        (count, math::max(moving_us(bytes, gpu), compute) + moving_us(0.0, gpu))
    });
    Series::new(points.collect())
}
