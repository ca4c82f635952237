//! What stands on the page. A component computes no statistics.

pub(crate) mod plot_view;
mod plot_pointer;
mod plot_export;
