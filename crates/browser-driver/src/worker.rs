//! What a tab and its workers hold in memory, asked of the browser's own engine.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::page::Page;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Memory of one document or worker, in bytes, after a collection of garbage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// What JavaScript uses.
    pub heap: u64,
    /// The memories of WebAssembly. They never shrink, so this is also the most there ever was.
    pub wasm: u64,
    /// Buffers of graphics memory that were not given back.
    pub gpu_buffers: u64,
}

impl Page {
    /// What the tab and each of its workers hold: the tab first, then the workers, the oldest first.
    ///
    /// The workers must be at rest: Chromium 156 comes to a standstill when it looks for the objects of one that computes.
    ///
    /// # Errors
    /// When the browser is gone or one of them does not answer.
    pub fn held(&mut self) -> Result<Vec<Held>> {
        // What happened before the answer has been read by then.
        self.evaluate("0")?;
        let workers = self.cdp.seen.workers.clone();
        let sessions = std::iter::once(None).chain(workers.iter().map(|worker| Some(worker.session.as_str())));
        sessions.map(|session| self.held_in(session)).collect()
    }

    fn held_in(&mut self, session: Option<&str>) -> Result<Held> {
        // Looking for objects collects what nothing refers to.
        let bytes = "function () { return this.reduce((sum, memory) => sum + memory.buffer.byteLength, 0); }";
        let wasm = self.sum_over(session, "WebAssembly.Memory", bytes)?;
        let gpu_buffers = self.sum_over(session, "globalThis.GPUBuffer", "function () { return this.length; }")?;
        let heap = self.cdp.call_in(session, "Runtime.getHeapUsage", json!({}), LIMIT)?;
        let heap = heap["usedSize"].as_f64().context("the browser does not tell how large its heap is")? as u64;
        Ok(Held { heap, wasm, gpu_buffers })
    }

    /// What a function makes of the array of all objects of a class; 0 where there is no such class.
    fn sum_over(&mut self, session: Option<&str>, class: &str, function: &str) -> Result<u64> {
        let group = json!({ "expression": format!("{class}?.prototype"), "objectGroup": "held" });
        let class = self.cdp.call_in(session, "Runtime.evaluate", group, LIMIT)?;
        let Some(prototype) = class["result"]["objectId"].as_str() else { return Ok(0) };
        let query = json!({ "prototypeObjectId": prototype, "objectGroup": "held" });
        let objects = self.cdp.call_in(session, "Runtime.queryObjects", query, LIMIT)?;
        let call = json!({
            "objectId": objects["objects"]["objectId"], "functionDeclaration": function, "returnByValue": true,
        });
        let sum = self.cdp.call_in(session, "Runtime.callFunctionOn", call, LIMIT)?["result"]["value"].clone();
        // Else the browser would keep them for its console.
        self.cdp.call_in(session, "Runtime.releaseObjectGroup", json!({ "objectGroup": "held" }), LIMIT)?;
        number(&sum)
    }
}

fn number(value: &Value) -> Result<u64> {
    value.as_f64().map(|number| number as u64).with_context(|| format!("the browser counts {value}"))
}
