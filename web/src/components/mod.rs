//! What is on the page. Components show the state and call its methods; they compute nothing.
#![expect(unreachable_pub, reason = "the component macro writes its structs with pub")]

mod example;
pub(crate) mod inputs;
pub(crate) mod live;
mod plot_export;
mod plot_pointer;
pub(crate) mod plot_view;
pub(crate) mod questions;
pub(crate) mod results;
