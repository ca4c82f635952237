//! `profiler serve`.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::serve::page::{Page, find_www, own_profile};
use crate::serve::{browser, listen, share_fragment};

/// Where and what is served.
#[derive(Debug, clap::Args)]
#[command(override_usage = "profiler serve [--port PORT] [--www DIR] [--no-open] [PROFILE] [FLAGS of simulate]")]
pub(super) struct Args {
    /// Port on 127.0.0.1; the next free one if it is taken
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// The built page [default: `www` beside this program, else ./www]
    #[arg(long, value_name = "DIR")]
    www: Option<PathBuf>,
    /// Do not open a browser
    #[arg(long)]
    no_open: bool,
    /// A profile that the page starts with, then flags as `profiler simulate` takes them
    #[arg(value_name = "PROFILE] [FLAGS", trailing_var_arg = true, allow_hyphen_values = true)]
    profile_and_flags: Vec<String>,
}

impl Args {
    /// Serves until the process is ended.
    pub(super) fn run(&self) -> Result<bool> {
        let (profile, flags) = match self.profile_and_flags.split_first() {
            Some((first, rest)) if !first.starts_with('-') => (Some(PathBuf::from(first)), rest),
            _ => (None, &self.profile_and_flags[..]),
        };
        for own in ["--port", "--www", "--no-open"] {
            ensure!(
                !flags.iter().any(|flag| flag.split('=').next() == Some(own)),
                "{own} must come before the profile and the flags of simulate"
            );
        }
        let page = Page { www: find_www(self.www.as_deref())?, own_profile: own_profile(profile.as_deref())? };
        let fragment = share_fragment(profile.as_deref(), flags)?;
        let (listener, port) = listen(self.port)?;
        let url = format!("http://127.0.0.1:{port}/{fragment}");
        let mut out = io::stdout().lock();
        writeln!(out, "{url}\nServing {} to this machine alone; Ctrl-C ends.", page.www.display())?;
        out.flush()?;
        drop(out);
        if !self.no_open {
            browser::open(&url);
        }
        page.serve(listener)?;
        Ok(true)
    }
}
