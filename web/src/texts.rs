//! What is dropped, pasted, linked and shared: a part that comes with the first of them.

use std::sync::Arc;

use leptos::prelude::untrack;

use crate::commands::{Applying, Taken, applying};
use crate::files;
use crate::opening::{Loading, loading, opening};
use crate::parts::{Missing, part};
use crate::protocol::Found;
use crate::share::{ShareLink, link_of};
use crate::state::{AppState, NoticeKind};

/// The part.
#[derive(Debug, Clone, Copy)]
struct Texts {
    apply_command: fn(AppState, String) -> Applying,
    load_link: fn(AppState, String) -> Loading,
    open_found: fn(AppState, String, Found, Vec<u8>),
    link_of: fn(AppState) -> ShareLink,
}

part! {
    /// Commands, files and links.
    fn texts() -> Texts {
        Texts { apply_command: applying, load_link: loading, open_found: opening, link_of }
    } in texts
}

impl AppState {
    /// Puts the flags of one or several commands into the form. `Ok` tells what was taken; `Err` that nothing was.
    pub(crate) async fn apply_command(self, text: &str) -> Result<Arc<Taken>, String> {
        let texts = texts().await.map_err(|missing| missing.to_string())?;
        (texts.apply_command)(self, text.to_owned()).await
    }

    /// Loads everything that a link carries or names; false if it cannot be read, and then nothing has changed.
    pub(crate) async fn load_link(self, fragment: &str) -> bool {
        match texts().await {
            Ok(texts) => (texts.load_link)(self, fragment.to_owned()).await,
            Err(missing) => {
                self.notify(NoticeKind::Error, &format!("The link is not opened: {missing}."));
                false
            }
        }
    }

    /// Takes what the reader made of a file.
    pub(crate) fn open_found(self, name: String, found: Found, content: Vec<u8>) {
        leptos::task::spawn_local(async move {
            match texts().await {
                Ok(texts) => (texts.open_found)(self, name, found, content),
                Err(missing) => self.notify(NoticeKind::Error, &format!("{name}: {missing}.")),
            }
        });
    }

    /// The link to hand out.
    ///
    /// # Errors
    /// If what writes it did not load.
    pub(crate) async fn share(self) -> Result<ShareLink, Missing> {
        let texts = texts().await?;
        Ok(untrack(|| (texts.link_of)(self)))
    }

    /// Shows what stands in the form in the page's address.
    pub(crate) fn show_address(self) {
        leptos::task::spawn_local(async move {
            match self.share().await {
                Ok(link) => files::set_page_fragment(&link.fragment),
                Err(missing) => {
                    self.notify(NoticeKind::Warn, &format!("The page's address does not follow the form: {missing}."));
                }
            }
        });
    }

    /// Downloads what stands in the form as a file that can be dropped again: the share link's fragment.
    pub(crate) fn export_scenario(self) {
        const NAME: &str = "scenario.vllmsim.txt";
        leptos::task::spawn_local(async move {
            let saved = match self.share().await {
                Ok(link) => files::download(NAME, "text/plain", format!("{}\n", link.fragment).as_bytes())
                    .map_err(|error| files::message(&error)),
                Err(missing) => Err(missing.to_string()),
            };
            if let Err(fault) = saved {
                self.notify(NoticeKind::Error, &format!("{NAME}: {fault}"));
            }
        });
    }
}
