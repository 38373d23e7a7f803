//! What the page knows and says, without a view.

pub mod address;
pub mod drawing;
pub mod figure;
pub mod labels;
pub mod latest_prediction;
pub mod leaderboard;
pub mod model_status;
pub mod plot;
pub mod reliability;
pub mod sprint_text;
pub mod user_agent;
pub mod user_files;
