//! The link that carries the run.

use leptos::prelude::*;

use super::dialog::{CopyButton, Dialog};
use crate::components::live::heard;
use crate::format::with_groups;
use crate::parts::{later, nothing, part};
use crate::share::{Carried, ShareLink, link_of};
use crate::state::AppState;

/// How a file travels: a sentence about `what`.
fn travels(what: &str, carried: &Carried) -> Option<String> {
    match carried {
        Carried::Nothing => None,
        Carried::Inside => Some(format!("{what}: inside the link.")),
        Carried::ByName(name) => Some(format!("{what}: by its name, {name}; this site has it.")),
        Carried::TooLarge(name) => {
            Some(format!("{what}: too large for a link. Who opens it must drop the file {name} too: send it along."))
        }
    }
}

/// The dialog.
#[component]
pub(super) fn ShareDialog(is_open: RwSignal<bool>) -> impl IntoView {
    view! {
        <Dialog is_open id="share-dialog" title="Share this run">
            {later(|| Box::pin(link_view()), nothing)}
        </Dialog>
    }
}

part! {
    /// What stands in the dialog.
    fn link_view() -> fn() -> AnyView {
        || {
            let link = untrack(|| link_of(expect_context()));
            view! { <Link link/> }.into_any()
        }
    } in dialogs
}

#[component]
fn Link(link: ShareLink) -> impl IntoView {
    let state = expect_context::<AppState>();
    let is_long = link.is_long();
    let length = with_groups(&link.length.to_string());
    let ways = [travels("Model and GPU", &link.profile), travels("Dataset", &link.dataset)];
    let is_incomplete = matches!(link.profile, Carried::TooLarge(_)) || matches!(link.dataset, Carried::TooLarge(_));
    let url = link.url.clone();
    let select_all = move |event: leptos::ev::FocusEvent| event_target::<web_sys::HtmlInputElement>(&event).select();
    view! {
        <p>"Nothing is uploaded: the link itself carries the run, and who opens it simulates it again with the same digits."</p>
        <div class="field">
            <label class="field-label" for="share-link">"Link"</label>
            <input
                type="text" id="share-link" data-testid="share-link" class="mono" readonly prop:value=link.url
                aria-describedby="share-facts" on:focus=select_all
            />
        </div>
        <ul class="help-list" id="share-facts" data-testid="share-facts">
            <li>{format!("{length} characters behind the address; only what differs from vLLM's defaults.")}</li>
            {ways.into_iter().flatten().map(|way| view! { <li>{way}</li> }).collect_view()}
        </ul>
        {is_long.then(|| view! {
            <p class="notice notice-warn" data-testid="share-long">
                "Chats and mail programs may cut off a link this long. The scenario file carries the same."
            </p>
        })}
        {is_incomplete.then(|| view! {
            <p class="notice notice-warn" data-testid="share-incomplete">"This link alone does not reproduce the run."</p>
        })}
        <div class="dialog-actions">
            <button
                type="button" class="btn" data-testid="share-file"
                on:click=heard(move |_| state.export_scenario())
            >
                "Save as a file"
            </button>
            <CopyButton text=move |()| url.clone() label="Copy link" testid="share-copy" class="btn btn-primary"/>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(carried: &Carried, expect: Option<&str>) {
        let said = travels("Profile", carried);
        assert_eq!(said.is_some(), expect.is_some(), "{carried:?}");
        assert!(said.unwrap_or_default().contains(expect.unwrap_or_default()), "{carried:?}");
    }

    #[test]
    fn a_link_says_how_each_file_travels() {
        check(&Carried::Nothing, None);
        check(&Carried::Inside, Some("inside the link"));
        check(&Carried::ByName("h100".to_owned()), Some("by its name, h100"));
        check(&Carried::TooLarge("mine".to_owned()), Some("drop the file mine"));
    }
}
