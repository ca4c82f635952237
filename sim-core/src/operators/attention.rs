//! Attention of any heads, from those that were measured.
//!
//! Head counts that were not measured are carried from the nearest: the launch kept, the rest by what is computed (of
//! prompts) or by the larger of what is read and what is computed (of decodes), and kept between what was measured with
//! fewer heads and with more. So are windows that were not: within a window attention is that over all tokens, beyond it
//! work grows with the window.

use super::gpu::Gpu;
use super::grid::TimeGrid;
use super::kinds::Operator;
use super::schema::{CurveTable, GridTable, Pack};
use super::series::Series;
use crate::math;

/// Attention of one layer on one rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadsOnRank {
    /// Query heads.
    pub num_heads: u32,
    /// Key and value heads.
    pub num_kv_heads: u32,
    /// Elements of a head.
    pub head_dim: u32,
    /// Most tokens that are looked at; 0 for all.
    pub span: u32,
    /// Whether keys and values are stored in one byte a number.
    pub is_fp8: bool,
}

/// Attention that was found, and how far it was carried.
#[derive(Debug, Clone)]
pub struct FoundAttention {
    /// One prompt over its tokens.
    pub prompt: Series,
    /// Requests with one new token over what they attend to.
    pub decode: TimeGrid,
    /// Octaves to the nearest measured heads, of the farther of the two; 0 if they were measured.
    pub distance: f64,
    /// The kernels of the prompts' table.
    pub kernels: alloc::vec::Vec<alloc::string::String>,
}

/// Whether measured heads (query heads, key heads, elements) differ from others in one way alone.
type IsBeside<'a> = &'a dyn Fn(&[u32; 3]) -> bool;

impl HeadsOnRank {
    fn format(&self) -> &'static str {
        if self.is_fp8 { "fp8" } else { "bfloat16" }
    }

    /// Attention of these heads; `None` if the pack has none.
    #[must_use]
    pub fn find(&self, pack: &Pack) -> Option<FoundAttention> {
        let (prompt, prompt_distance, kernels) = self.prompt(pack)?;
        let (decode, decode_distance) = self.decode(pack)?;
        Some(FoundAttention {
            prompt,
            decode,
            distance: math::max(prompt_distance, decode_distance),
            kernels: kernels.to_vec(),
        })
    }

    /// Octaves to measured sizes; heads of keys and their width count double, as they decide about kernels.
    fn octaves(&self, sizes: &[u32]) -> Option<f64> {
        let &[heads, kv_heads, head_dim, _] = sizes else { return None };
        let log = |a: u32, b: u32| math::ln(math::u32_to_f64(a) / math::u32_to_f64(b)) / core::f64::consts::LN_2;
        let logs =
            [log(heads, self.num_heads), 2.0 * log(kv_heads, self.num_kv_heads), 2.0 * log(head_dim, self.head_dim)];
        Some(math::sqrt(logs.iter().map(|log| log * log).sum()))
    }

    /// The place of the nearest shape with this window, and its distance.
    fn nearest(&self, shapes: &[alloc::vec::Vec<u32>], window: u32) -> Option<(usize, f64)> {
        let with_window = shapes.iter().enumerate().filter(|(_, sizes)| sizes.get(3) == Some(&window));
        let distances = with_window.filter_map(|(place, sizes)| Some((place, self.octaves(sizes)?)));
        distances.min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)))
    }

    /// The window's own table if these very heads were measured in it, else the one over all tokens.
    fn place(&self, shapes: &[alloc::vec::Vec<u32>]) -> Option<(usize, f64, bool)> {
        if self.span > 0
            && let Some((place, distance)) = self.nearest(shapes, self.span).filter(|(_, distance)| *distance < 1e-9)
        {
            return Some((place, distance, true));
        }
        self.nearest(shapes, 0).map(|(place, distance)| (place, distance, self.span == 0))
    }

    /// The places of measured heads on both sides of these: fewer and more query heads over as many of keys, else both in
    /// the same proportion, else fewer and more of keys, else narrower and wider ones.
    fn neighbours(&self, shapes: &[alloc::vec::Vec<u32>]) -> Option<(usize, usize)> {
        let own = [self.num_heads, self.num_kv_heads, self.head_dim];
        let is_group = |sizes: &[u32; 3]| {
            sizes[2] == own[2] && u64::from(sizes[0]) * u64::from(own[1]) == u64::from(own[0]) * u64::from(sizes[1])
        };
        let differs_in =
            |axis: usize| move |sizes: &[u32; 3]| (0..3).all(|other| other == axis || sizes[other] == own[other]);
        let sides: [(IsBeside<'_>, usize); 4] =
            [(&differs_in(0), 0), (&is_group, 0), (&differs_in(1), 1), (&differs_in(2), 2)];
        let measured = || {
            shapes.iter().enumerate().filter_map(|(place, sizes)| match *sizes.as_slice() {
                [heads, kv_heads, head_dim, 0] => Some((place, [heads, kv_heads, head_dim])),
                _ => None,
            })
        };
        sides.iter().find_map(|(is_beside, axis)| {
            let beside = || measured().filter(|(_, sizes)| is_beside(sizes));
            let below =
                beside().filter(|(_, sizes)| sizes[*axis] < own[*axis]).max_by_key(|(_, sizes)| sizes[*axis])?;
            let above =
                beside().filter(|(_, sizes)| sizes[*axis] > own[*axis]).min_by_key(|(_, sizes)| sizes[*axis])?;
            Some((below.0, above.0))
        })
    }

    fn prompt<'a>(&self, pack: &'a Pack) -> Option<(Series, f64, &'a [alloc::string::String])> {
        let table = of_format(&pack.curves, self.format(), |table: &CurveTable| {
            (table.operator == Operator::PromptAttention, table.format.as_str())
        })?;
        let (place, distance, has_window) = self.place(&table.shapes)?;
        let series = Series::of_row(&table.counts, table.time_us.get(place)?)?;
        let width = |heads: u32, head_dim: u32| math::u32_to_f64(heads) * math::u32_to_f64(head_dim);
        let sizes = table.shapes.get(place)?;
        let ratio = width(self.num_heads, self.head_dim) / width(*sizes.first()?, *sizes.get(2)?);
        let launch = series.times_us().first().copied().unwrap_or(0.0);
        let sides = self.neighbours(&table.shapes).filter(|_| distance > 1e-9 && table.format == self.format());
        let side = |place: usize| Series::of_row(&table.counts, table.time_us.get(place)?);
        let sides = sides.and_then(|(below, above)| Some([side(below)?, side(above)?]));
        let span = if has_window { 0.0 } else { math::u32_to_f64(self.span) };
        let series = series.map(|tokens, time| {
            let time = launch + math::max(time - launch, 0.0) * ratio;
            let time = sides.as_ref().map_or(time, |sides| between(time, [sides[0].at(tokens), sides[1].at(tokens)]));
            let share = work(tokens, span) / work(tokens, 0.0);
            math::min(launch, time) + math::max(time - launch, 0.0) * share
        });
        Some((series, distance, &table.kernels))
    }

    fn decode(&self, pack: &Pack) -> Option<(TimeGrid, f64)> {
        let table = of_format(&pack.grids, self.format(), |table: &GridTable| {
            (table.operator == Operator::DecodeAttention, table.format.as_str())
        })?;
        let (place, distance, _) = self.place(&table.shapes)?;
        let grid = TimeGrid::of_rows(&table.num_seqs, &table.context_tokens, table.time_us.get(place)?)?;
        let sizes = table.shapes.get(place)?;
        let (heads, kv_heads, head_dim) = (*sizes.first()?, *sizes.get(1)?, *sizes.get(2)?);
        let site = Self { num_heads: heads, num_kv_heads: kv_heads, head_dim, ..*self };
        let site = Self { is_fp8: table.format == "fp8", ..site };
        let launch = grid.rows.first().and_then(|row| row.first()).copied().unwrap_or(0.0);
        let grid = if distance < 1e-9 && site.is_fp8 == self.is_fp8 {
            grid
        } else {
            let ratio = self.roofline_us(&pack.gpu) / site.roofline_us(&pack.gpu);
            let sides = self.neighbours(&table.shapes).filter(|_| site.is_fp8 == self.is_fp8);
            let side =
                |place: usize| TimeGrid::of_rows(&table.num_seqs, &table.context_tokens, table.time_us.get(place)?);
            let sides = sides.and_then(|(below, above)| Some([side(below)?, side(above)?]));
            grid.map(|num_seqs, context, time| {
                let time = launch + math::max(time - launch, 0.0) * ratio;
                let at = |side: &TimeGrid| side.at(math::f64_to_u32(num_seqs), math::f64_to_u32(context));
                let sides = sides.as_ref().and_then(|[below, above]| Some([at(below)?, at(above)?]));
                sides.map_or(time, |sides| between(time, sides))
            })
        };
        let grid = if self.span > 0 { grid.up_to(self.span) } else { grid };
        Some((grid, distance))
    }

    /// The least time of a decode for each token that it attends to.
    fn roofline_us(&self, gpu: &Gpu) -> f64 {
        let [heads, kv_heads, head_dim] = [self.num_heads, self.num_kv_heads, self.head_dim].map(math::u32_to_f64);
        let bytes = 2.0 * kv_heads * head_dim * if self.is_fp8 { 1.0 } else { 2.0 };
        let compute = 4.0 * heads * head_dim / gpu.bf16_flops;
        math::max(compute, bytes / gpu.memory_bandwidth) * 1e6
    }
}

/// `time`, or the nearer of the two where it is not between them.
fn between(time: f64, [one, other]: [f64; 2]) -> f64 {
    math::max(math::min(time, math::max(one, other)), math::min(one, other))
}

/// The table in `format`, or in 16 bits.
fn of_format<'a, T>(tables: &'a [T], format: &str, is_it: impl Fn(&T) -> (bool, &str)) -> Option<&'a T> {
    let find = |format: &str| {
        tables.iter().find(|table| {
            let (is_kind, its) = is_it(table);
            is_kind && its == format
        })
    };
    find(format).or_else(|| find("bfloat16"))
}

/// Pairs of tokens that a prompt of `tokens` attends to, where each looks at most at `span` (0: all).
#[must_use]
pub fn work(tokens: f64, span: f64) -> f64 {
    if span <= 0.0 || tokens <= span {
        return tokens * tokens / 2.0;
    }
    span * span / 2.0 + (tokens - span) * span
}
