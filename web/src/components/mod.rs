//! What stands on the page. A component computes no statistics.
#![expect(unreachable_pub, reason = "the component macro writes its structs with pub")]

pub(crate) mod plot_view;
mod plot_pointer;
mod plot_export;
