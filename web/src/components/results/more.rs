//! What of the answer comes after the first screen: its cards below the distribution, and comparisons.

use leptos::prelude::*;

use super::compare::CompareCard;
use super::measured::MeasuredCard;
use super::over_time::OverTimeCard;
use super::parts::Shown;
use super::passes::PassesCard;
use super::replicas::ReplicasCard;
use super::report::ReportCard;
use super::requests::RequestsCard;
use super::split::SplitCard;
use crate::components::live::{Soon, When};
use crate::parts::part;

part! {
    /// What stands below the distribution.
    pub(super) fn more() -> fn() -> AnyView { below } in more
}
part! {
    /// The pinned run and the measurement beside the answer.
    pub(super) fn comparisons() -> fn() -> AnyView { compared } in dialogs
}

fn below() -> AnyView {
    let shown = expect_context::<Shown>();
    let is_fleet = shown.part(|answer| answer.fleet.is_some());
    view! {
        <Soon><ReplicasCard shown/></Soon>
        <Soon><SplitCard shown/></Soon>
        <Soon><When when=Signal::derive(move || !is_fleet.get())><OverTimeCard shown/></When></Soon>
        <Soon><PassesCard shown/></Soon>
        <Soon><RequestsCard shown/></Soon>
        <Soon><ReportCard shown/></Soon>
    }
    .into_any()
}

fn compared() -> AnyView {
    let shown = expect_context::<Shown>();
    view! {
        <CompareCard shown/>
        <MeasuredCard shown/>
    }
    .into_any()
}
