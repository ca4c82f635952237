//! What is on the page. Components show the state and call its methods; they compute nothing.

pub(crate) mod inputs;
pub(crate) mod plot_view;
pub(crate) mod results;
