//! What `www/boot.js` is told: it lets parts of `index.html` stay in their places until the page has its own.

use leptos::prelude::{request_animation_frame, window};

use crate::components::live::at_last;

fn tell(name: &str) {
    if let Ok(event) = web_sys::Event::new(name) {
        window().dispatch_event(&event).ok();
    }
}

/// The first answer is painted, its plots drawn, with how far it may be off, or there will be none.
pub(crate) fn tell_answered() {
    at_last(|| request_animation_frame(|| tell("vllmsim:answered")));
}

/// Something else is asked than a visit asks that says nothing.
pub(crate) fn tell_asked() {
    tell("vllmsim:asked");
}

/// The form is there, or will not come.
pub(crate) fn tell_ready() {
    tell("vllmsim:ready");
}
