//! What is asked: the header, the panels, what comes in.

use leptos::prelude::*;

#[component]
pub(crate) fn Header() -> impl IntoView {}
#[component]
pub(crate) fn Panels() -> impl IntoView {}
#[component]
pub(crate) fn Notices() -> impl IntoView {}
#[component]
pub(crate) fn DropLayer() -> impl IntoView {}
