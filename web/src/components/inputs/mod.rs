//! What is asked: the header, the panels, what comes in.

mod choice_field;
mod command_box;
mod defaults;
mod dialog;
mod drop_layer;
mod engine_card;
mod export_menu;
mod faults;
mod field;
mod fleet_card;
mod fleet_flags;
mod follows;
mod header;
mod help;
mod icons;
mod model_card;
mod model_field;
mod notices;
mod objectives;
mod objectives_row;
mod of_profile;
mod panels;
mod routers;
mod run_bar;
mod setup_fields;
mod share_dialog;
mod taken;
mod theme;
mod words;
mod workload_card;
mod workload_fields;

pub(crate) use drop_layer::DropLayer;
pub(crate) use header::Header;
pub(crate) use notices::Notices;
pub(crate) use panels::Cards;
pub(crate) use theme::provide_theme;
