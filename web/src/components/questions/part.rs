//! The answers to questions over many runs: a part that comes with the first of them.

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
    pub(super) fn flags() -> fn() -> AnyView { flags_answer } in questions
}
part! {
    /// How much each GPU carries.
    pub(super) fn gpu() -> fn() -> AnyView { gpu_answer } in questions
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
