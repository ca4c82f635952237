//! `profiler sweep`.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::simulate::model_source::ModelName;
use crate::simulate::scenario_flags::ScenarioFlags;
use crate::simulate::token_counter::load_token_counter;
use crate::sweep::base::{Base, Counter, Points};
use crate::sweep::grid::{Grid, GridFlags};
use crate::sweep::merge::{MergeFlags, Merged};
use crate::sweep::plan::{Plan, Planned};
use crate::sweep::run::{Shard, run};
use sim_core::answers::said::counted;

/// Most shards of a sweep.
const MAX_SHARDS: u32 = 1_000_000;

/// What varies, what does not, and where it goes.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(in crate::cli) struct Args {
    #[command(subcommand)]
    merge: Option<Command>,
    #[command(flatten)]
    grid: GridFlags,
    /// Folder of the sweep: its plan, what is done, and at the end results.csv and results.parquet. With what is done the
    /// same command goes on
    #[arg(long, short, value_name = "DIR", required = true)]
    output_dir: Option<PathBuf>,
    /// Divide the sweep over so many runs of this command, each with its own --shard; `profiler sweep merge` follows
    #[arg(long, value_name = "N", requires = "shard", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_SHARDS)))]
    shards: Option<u32>,
    /// Which of --shards this is, from 0
    #[arg(long, value_name = "I", requires = "shards")]
    shard: Option<u32>,
    /// Write the plan, say what would run, and stop
    #[arg(long)]
    dry_run: bool,
    /// A whole-pass profile of the step times [default: composed of --model and --gpu]
    #[arg(long, value_name = "PATH")]
    profile: Option<PathBuf>,
    /// Begin with what a share link of the page says; flags given besides come on top
    #[arg(long, value_name = "LINK")]
    link: Option<String>,
    #[command(flatten)]
    model_name: ModelName,
    #[command(flatten)]
    scenario: ScenarioFlags,
    /// The model's tokenizer.json: counts the tokens of sharegpt and custom prompts
    #[arg(long, value_name = "PATH")]
    tokenizer: Option<PathBuf>,
    /// No progress
    #[arg(long)]
    quiet: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Put the parts of all shards together as one table, once none is missing.
    Merge {
        /// The sweep's folder
        folder: PathBuf,
        #[command(flatten)]
        flags: MergeFlags,
    },
}

impl Args {
    /// Always true: a point that is refused is a row of the table.
    pub(in crate::cli) fn run(self) -> Result<bool> {
        if let Some(Command::Merge { folder, flags }) = &self.merge {
            let planned = Planned::open(folder)?;
            tell(flags.merge(&planned, folder)?)?;
            return Ok(true);
        }
        let folder = self.output_dir.unwrap_or_default();
        let shard = Shard { index: self.shard.unwrap_or(0) as usize, count: self.shards.unwrap_or(1) as usize };
        ensure!(
            shard.index < shard.count,
            "--shard {}: shards are numbered from 0 to {}",
            shard.index,
            shard.count - 1
        );
        let axes = self.grid.axes()?;
        let base = Base {
            flags: self.scenario.scenario,
            link: self.link,
            profile: self.profile,
            model_name: self.model_name,
            tokenizer: self.tokenizer,
        };
        let counter = base.tokenizer.as_deref().map(load_token_counter).transpose()?;
        let counter: Counter<'_> = counter.as_ref().map(|count| count as &(dyn Fn(&str) -> usize + Sync));
        let points = Points::new(&base, Grid::new(&axes), counter);
        let plan = Plan::new(base.flags.flags(), axes.clone(), points.grounds()?);
        let planned = Planned::settle(plan, &folder)?;
        let grid = planned.plan.grid();
        let (num_points, num_parts) = (grid.num_points(), planned.plan.num_parts());
        let mut out = io::stdout().lock();
        let (points_told, parts_told) = (counted(num_points as u64, "point"), counted(num_parts as u64, "part"));
        writeln!(out, "SIMULATED, not measured. {points_told}: {}; in {parts_told}", grid.told())?;
        if self.dry_run {
            return Ok(true);
        }
        let done = run(&planned, &points, shard, self.quiet)?;
        if done.num_found > 0 {
            let were = if done.num_found == 1 { "was" } else { "were" };
            writeln!(out, "{} of {} {were} there", done.num_found, counted(done.num_parts as u64, "part"))?;
        }
        if shard.count == 1 {
            tell(MergeFlags::default().merge(&planned, &folder)?)?;
        } else {
            let (Shard { index, count }, own) = (shard, counted(done.num_parts as u64, "part"));
            let merge = format!("`profiler sweep merge {}`", folder.display());
            writeln!(out, "shard {index} of {count} has its {own}; {merge} when all have theirs")?;
        }
        Ok(true)
    }
}

fn tell(merged: Merged) -> Result<()> {
    let refused = match merged.num_refused {
        0 => String::new(),
        number => format!(", {number} refused (column error)"),
    };
    writeln!(io::stdout().lock(), "{} rows{refused}", merged.num_rows)?;
    Ok(())
}
