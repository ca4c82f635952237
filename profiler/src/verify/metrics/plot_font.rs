//! The letters of a PNG. An SVG names a font and leaves it to the viewer.

use anyhow::{Result, ensure};
use epaint_default_fonts::UBUNTU_LIGHT;
use plotters::style::{FontStyle, register_font};

use super::plot_panel::FONT;

/// Makes the font known to plotters, which asks for it by name.
///
/// # Errors
/// If the font cannot be read.
pub(super) fn register() -> Result<()> {
    let is_known = register_font(FONT, FontStyle::Normal, UBUNTU_LIGHT).is_ok();
    ensure!(is_known, "the font inside this program cannot be read");
    Ok(())
}
