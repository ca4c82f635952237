//! `profiler link`.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::Result;
use sim_core::scenario::link::COMFORTABLE_BYTES;

use super::given::Given;

/// What the link is to say.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A whole-pass profile; travels inside the link [default: composed of --model and --gpu, or the built-in one]
    #[arg(long, value_name = "PATH")]
    profile: Option<PathBuf>,
    /// Address of the page, which goes in front
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000/")]
    page: String,
    #[command(flatten)]
    given: Given,
}

impl Args {
    /// Prints the link.
    #[expect(clippy::print_stderr, reason = "doubts go to stderr, the link to stdout")]
    pub(super) fn run(&self) -> Result<bool> {
        let inputs = self.given.inputs(self.profile.as_deref())?;
        // What the page would refuse is refused here.
        inputs.scenario.resolve(&inputs.choice.profile)?;
        let fragment = inputs.fragment(false)?;
        let length = fragment.len() - 1;
        if inputs.link().pack_file.is_some() && !fragment.contains("&pack-z=") {
            eprintln!("warning: the pack is too large for a link; whoever opens it needs the file, too");
        }
        if length > COMFORTABLE_BYTES {
            eprintln!("warning: {length} bytes; chats and mail programs may cut it off");
        }
        writeln!(io::stdout().lock(), "{}{fragment}", self.page.split('#').next().unwrap_or_default())?;
        Ok(true)
    }
}
