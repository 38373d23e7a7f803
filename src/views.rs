//! The page's components, in the order in which they appear.

pub mod page;

mod error_banner;
mod masthead;

mod controls;
mod field;
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
