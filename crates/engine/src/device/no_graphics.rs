//! Without the feature `gpu` there is no graphics card: in the small workers, and in the command line that the tests use.

use inkling_core::protocol::{EngineRequest, Progress};

use super::{Engine, Refused, Workload};

/// Always refused.
pub(super) async fn open(_: EngineRequest, _: bool, _: &impl Fn(Progress)) -> Result<Engine, Refused> {
    Err("this program was built without graphics cards (feature \"gpu\")".to_owned().into())
}

impl Engine {
    /// Nothing is compiled, with or without patches.
    pub(super) async fn compile(&self, _: &Workload, _: &impl Fn(Progress)) -> Result<(), String> {
        let _patched = self.patches;
        Ok(())
    }

    /// There is nothing to test.
    pub(super) async fn test_cases(&self, _: &Workload) -> Result<Option<()>, String> {
        Ok(None)
    }

    /// Never called.
    pub(super) async fn self_test(&self, _: &Workload, (): (), _: &impl Fn(Progress)) -> Result<(), String> {
        Ok(())
    }
}
