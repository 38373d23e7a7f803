//! What is known of networks, images, runs and receipts: pure data and arithmetic that page, worker and command line share.
//!
//! In reading order: [`spec`] names things, [`models`] describes the networks, [`data`] and [`preprocess`] give images,
//! [`protocol`] is what page and worker say to each other, [`run`] folds that into what is known of a run, [`evaluation`],
//! [`receipts`] and [`speed_report`] are results. Nothing here computes a network, names a browser or opens a file.

pub mod spec;

pub mod preprocess;

pub mod data;

pub mod models;

pub mod evaluation;
pub mod receipts;

pub mod protocol;
pub mod run;

pub mod speed_report;
