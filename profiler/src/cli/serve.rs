//! `profiler serve`.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::Result;

use super::given::Given;
use crate::serve::page::{Page, find_www};
use crate::serve::{browser, listen};

/// Where and what is served.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A whole-pass profile that the page starts with
    profile: Option<PathBuf>,
    /// Port on 127.0.0.1; the next free one if it is taken
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// The built page [default: `www` beside this program, else ./www]
    #[arg(long, value_name = "DIR")]
    www: Option<PathBuf>,
    /// Do not open a browser
    #[arg(long)]
    no_open: bool,
    #[command(flatten)]
    given: Given,
}

impl Args {
    /// Serves until the process is ended.
    pub(super) fn run(&self) -> Result<bool> {
        let www = find_www(self.www.as_deref())?;
        let is_asked =
            self.profile.is_some() || self.given.link.is_some() || self.given.flags().given().next().is_some();
        let (fragment, own_profile) = if is_asked {
            let inputs = self.given.inputs(self.profile.as_deref())?;
            let link = inputs.link();
            // A profile that is too large for an address is loaded by its name, from here.
            let own_profile = link.profile.clone().zip(link.profile_file.clone());
            (inputs.fragment(own_profile.is_some())?, own_profile)
        } else {
            (String::new(), None)
        };
        let page = Page { www, own_profile };
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
