//! Small pictures for buttons, 16 × 16, in the colour of the text. Each stands beside a name, so none is read out.

use leptos::prelude::*;

/// A picture of lines.
#[component]
pub(super) fn Icon(
    /// The path's `d`.
    shape: &'static str,
) -> impl IntoView {
    view! {
        <svg
            class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" fill="none"
            stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round"
        >
            <path d=shape></path>
        </svg>
    }
}

pub(super) const OPEN: &str = "M2 12.5v-9h4l1.5 2H14v7z";
pub(super) const SHARE: &str =
    "M6.5 9.5 9.5 6.5M7 4.5l1.6-1.6a3 3 0 0 1 4.5 4.5L11.5 9M9 11.5l-1.6 1.6a3 3 0 0 1-4.5-4.5L4.5 7";
pub(super) const SAVE: &str = "M8 2v8M4.5 7 8 10.5 11.5 7M2.5 13.5h11";
pub(super) const SUN: &str =
    "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6M8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1";
pub(super) const MOON: &str = "M13.5 9.5A6 6 0 0 1 6.5 2.5a6 6 0 1 0 7 7z";
pub(super) const SYSTEM: &str = "M2 3h12v8H2zM6 14h4M8 11v3";
pub(super) const HELP: &str = "M5.8 6a2.2 2.2 0 1 1 3.4 1.8C8.4 8.4 8 8.8 8 9.7M8 12.2v.1";
pub(super) const CLOSE: &str = "M4 4l8 8M12 4l-8 8";
pub(super) const RESET: &str = "M3 7.5A5 5 0 1 1 4.5 12M3 3.5v4h4";
