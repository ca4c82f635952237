//! From recorded facts to the numbers users know. Receives finished facts and changes nothing.

pub mod recorder;
pub mod chrome_trace;
pub mod request_metrics;
pub mod emissions;
pub mod distribution;
pub mod plot_points;
pub mod bench_outputs;
pub mod goodput;
pub mod bench_serve;
pub mod bench_table;
pub mod by_class;
pub mod figure_ranges;
pub mod bench_json;
pub mod python_float;
mod python_json;
pub mod time_series;
pub mod summary;
pub mod limits;
pub mod ttft_split;
pub mod json_measured;
pub mod request_csv;
pub mod digest;
