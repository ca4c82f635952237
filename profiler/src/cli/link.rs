//! `profiler link`.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::{Result, ensure};
use sim_core::scenario::link::{COMFORTABLE_BYTES, MAX_FRAGMENT_BYTES, MAX_INFLATED_BYTES};

use crate::simulate::inputs::Inputs;
use crate::simulate::scenario_flags::ScenarioFlags;

/// What the link is to say.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Profile of the step times; travels inside the link [default: the built-in one, by name]
    #[arg(long, value_name = "PATH")]
    profile: Option<PathBuf>,
    /// Change this link instead of beginning with nothing
    #[arg(long, value_name = "LINK")]
    link: Option<String>,
    /// Address of the page, which goes in front
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000/")]
    page: String,
    #[command(flatten)]
    scenario: ScenarioFlags,
}

impl Args {
    /// Prints the link.
    #[expect(clippy::print_stderr, reason = "doubts go to stderr, the link to stdout")]
    pub(super) fn run(&self) -> Result<bool> {
        let inputs = Inputs::new(&self.scenario.scenario, self.link.as_deref(), self.profile.as_deref())?;
        // What the page would refuse is refused here.
        inputs.scenario.resolve(&inputs.profile)?;
        let link = inputs.link();
        for (what, file) in [("profile", &link.profile_file), ("dataset", &link.dataset_file)] {
            let length = file.as_ref().map_or(0, Vec::len);
            ensure!(
                length <= MAX_INFLATED_BYTES,
                "the {what} has {length} bytes, a link carries at most {MAX_INFLATED_BYTES}: send the file instead"
            );
        }
        let fragment = link.to_fragment();
        let length = fragment.len() - 1;
        ensure!(
            length <= MAX_FRAGMENT_BYTES,
            "the link would have {length} bytes, the limit is {MAX_FRAGMENT_BYTES}: send profile and dataset as files"
        );
        if length > COMFORTABLE_BYTES {
            eprintln!("warning: {length} bytes; chats and mail programs may cut it off");
        }
        writeln!(io::stdout().lock(), "{}{fragment}", self.page.split('#').next().unwrap_or_default())?;
        Ok(true)
    }
}
