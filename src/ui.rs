//! The page: draws what [`crate::run::Run`] knows, and turns presses and strokes into commands.
//!
//! It never links burn: the engine lives in a worker behind [`crate::protocol`]. The files that hold no view are
//! pure and compiled everywhere, so that their tests run natively; the others say at their top that they are not.

// Pure: what there is to say and to keep.
pub mod address;
pub mod agent;
pub mod drawing;
pub mod figure;
pub mod goal;
pub mod own;
pub mod phrase;
pub mod question;
pub mod reliability;
pub mod standing;
pub mod worth;

// The page's heart, and its lines to the worker and to the browser.
mod browser;
mod client;
mod share;
mod state;

// Views, in the order in which they appear.
pub mod page;

mod masthead;
mod trouble;

mod controls;
mod field;
mod files;
mod network;
mod recipe;
mod settings;
mod sprint;

mod pad;
mod paper;
mod picture;
mod prediction;

mod charts;
mod log;

mod confusion;
mod judgement;
mod mistakes;
mod strip;

mod scoreboard;
mod speed;
