//! Data types and arithmetic shared by the page, the worker and the command line: networks, images, runs and receipts.
//!
//! In reading order: [`spec`] defines ids and settings, [`models`] describes the networks as layer lists, [`data`] and
//! [`preprocess`] produce images, [`protocol`] defines the messages between page and worker, [`run`] folds events into
//! the state of a run, and [`evaluation`], [`receipts`] and [`speed_report`] hold results. This crate never runs a
//! network, never calls a browser API and never opens a file.

pub mod spec;

pub mod preprocess;

pub mod data;

pub mod models;

pub mod evaluation;
pub mod receipts;

pub mod protocol;
pub mod run;

pub mod speed_report;
