//! The flags of `vllm bench serve` that decide what is reported, and ours.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use sim_core::metrics::bench_serve::BenchServeOptions;
use sim_core::profile::uncertainty::Grounds;
use sim_core::profile::{Profile, StatedRange};

/// What is reported and where to.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Report (flags of vllm bench serve, and ours)")]
pub(crate) struct ReportFlags {
    /// Name of the run; results are labelled as simulated anyway
    #[arg(long)]
    label: Option<String>,
    /// KEY=VALUE pairs for the result file
    #[arg(long, num_args = 1.., value_name = "KEY=VALUE")]
    metadata: Vec<String>,
    /// Exit with 1 if fewer than this share of the requests meets every objective (ours)
    #[arg(long, value_name = "SHARE", requires = "goodput")]
    pub(crate) require_goodput: Option<f64>,
    /// Write the result as JSON, in the format of vllm bench serve
    #[arg(long)]
    save_result: bool,
    /// With every request's times, too
    #[arg(long)]
    pub(crate) save_detailed: bool,
    /// Add the result to the file instead of replacing it
    #[arg(long)]
    pub(crate) append_result: bool,
    /// Folder of the result file
    #[arg(long, value_name = "PATH")]
    pub(crate) result_dir: Option<PathBuf>,
    /// Name of the result file
    #[arg(long, value_name = "NAME")]
    pub(crate) result_filename: Option<String>,
    /// Write one row per request (ours)
    #[arg(long, value_name = "PATH")]
    pub(crate) per_request_csv: Option<PathBuf>,
    /// Write passes, requests and KV usage for ui.perfetto.dev (ours)
    #[arg(long, value_name = "PATH")]
    pub(crate) chrome_trace: Option<PathBuf>,
    /// Write which requests joined before each iteration, as JSON: replays the run on a real engine (ours)
    #[arg(long, value_name = "PATH")]
    pub(crate) queries_per_iter: Option<PathBuf>,
    /// Write what came of each replica, as JSON (ours)
    #[arg(long, value_name = "PATH")]
    pub(crate) replicas_json: Option<PathBuf>,
    /// Simulate the same requests with each of these routers, separated by commas, or all: one table instead of a report,
    /// with --replicas-json as JSON, too (ours)
    #[arg(long, value_name = "NAMES", conflicts_with = "router")]
    pub(crate) compare_routers: Option<String>,
    /// Say how far each figure may be off: runs the workload again at both ends of the profile's range (ours; on for
    /// estimated profiles) [or --no-range]
    #[arg(long, overrides_with = "no_range")]
    range: bool,
    #[arg(long, hide = true)]
    no_range: bool,
    /// Print every engine setting with the reason for its value (ours)
    #[arg(long)]
    pub(crate) explain: bool,
    /// Print the table alone, and no progress (ours)
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

impl ReportFlags {
    /// Whether a result file is asked for.
    pub(crate) const fn saves_result(&self) -> bool {
        self.save_result || self.append_result
    }

    /// Whether something is asked for that needs a record of passes and requests, or a digest of them; else figures do.
    pub(crate) const fn needs_records(&self) -> bool {
        !self.quiet
            || self.saves_result()
            || self.per_request_csv.is_some()
            || self.chrome_trace.is_some()
            || self.queries_per_iter.is_some()
    }

    /// The range of `profile` that the run is repeated at, if it is to be.
    ///
    /// # Errors
    /// If it is asked for and the profile has none.
    pub(crate) fn range_of(&self, profile: &Profile) -> Result<Option<StatedRange>> {
        let stated = StatedRange::of(profile);
        ensure!(
            stated.is_some() || !self.range,
            "--range: a {} profile stands for no device, so it has no range",
            profile.provenance.kind.name()
        );
        Ok(stated.filter(|stated| self.range || stated.grounds == Grounds::Estimate && !self.no_range))
    }

    /// `options` with what these flags add to them.
    pub(crate) fn on_top_of(&self, options: BenchServeOptions) -> Result<BenchServeOptions> {
        if let Some(share) = self.require_goodput {
            ensure!((0.0..=1.0).contains(&share), "--require-goodput {share}: it must be from 0 to 1");
        }
        let metadata = self.metadata.iter().map(|pair| {
            let (key, value) =
                pair.split_once('=').with_context(|| format!("--metadata {pair:?}: it must be KEY=VALUE"))?;
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        });
        let metadata = metadata.collect::<Result<_>>()?;
        Ok(BenchServeOptions { label: self.label.clone(), metadata, ..options })
    }
}
