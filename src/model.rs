//! The page's state and text, without views. It never touches a browser API.

pub mod address;
pub mod chart_geometry;
pub mod drawing;
pub mod labels;
pub mod latest_prediction;
pub mod leaderboard;
pub mod model_status;
pub mod numbers;
pub mod plot;
pub mod reliability;
pub mod sprint_text;
pub mod user_agent;
pub mod user_files;
