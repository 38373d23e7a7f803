//! The page's Leptos components, listed in the order in which they appear. They never talk to a worker directly.

pub mod page;

mod error_banner;
mod masthead;

mod controls;
mod form_field;
mod network;
mod recipe;
mod settings;
mod sprint;
mod user_files;

mod canvas_painter;
mod digit_image;
mod pad;
mod prediction;

mod charts;
mod log;

mod confusion;
mod evaluation;
mod interval_bar;
mod misclassified;

mod scoreboard;
mod speed_report;
