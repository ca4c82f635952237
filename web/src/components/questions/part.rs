//! The answers to questions over many runs: parts that come when they are asked, that of the first question with a first visit.

use leptos::prelude::*;

use super::flags::FlagsAnswer;
use super::gpu::GpuAnswer;
use super::load::LoadAnswer;
use super::recent::{Recent, RecentAnswers};
use crate::parts::part;

part! {
    /// How much load is carried.
    pub(super) fn load() -> fn() -> AnyView { load_answer } in questions
}

part! {
    /// What one step of each flag would change.
    pub(super) fn flags() -> fn() -> AnyView { flags_answer } in setups
}
part! {
    /// How much each GPU carries.
    pub(super) fn gpu() -> fn() -> AnyView { gpu_answer } in setups
}

fn flags_answer() -> AnyView {
    provide_context(Recent::new());
    view! { <FlagsAnswer/> <RecentAnswers/> }.into_any()
}

fn gpu_answer() -> AnyView {
    provide_context(Recent::new());
    view! { <GpuAnswer/> <RecentAnswers/> }.into_any()
}

fn load_answer() -> AnyView {
    provide_context(Recent::new());
    view! { <LoadAnswer/> <RecentAnswers/> }.into_any()
}
