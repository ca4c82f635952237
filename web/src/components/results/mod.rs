//! What is answered.

use leptos::prelude::*;

#[component]
pub(crate) fn Results() -> impl IntoView {}
