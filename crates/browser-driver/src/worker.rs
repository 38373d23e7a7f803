//! Memory of a tab and its workers, queried from the browser's JavaScript engine. It never reads the operating system's
//! figures.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::page::Page;

/// Timeout of each call.
const LIMIT: Duration = Duration::from_secs(60);

/// Memory of one document or worker after a garbage collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeapMemory {
    /// Bytes used on JavaScript's heap.
    pub heap: u64,
    /// Bytes of all WebAssembly memories. They never shrink, so this is also their peak.
    pub wasm: u64,
    /// Number of `GPUBuffer` objects that are still alive.
    pub gpu_buffers: u64,
}

impl Page {
    /// The memory of the tab and of each of its workers: the tab first, then the workers from the oldest to the newest.
    ///
    /// The workers must be idle: Chromium 156 hangs when it queries the objects of a worker that is computing.
    ///
    /// # Errors
    /// When the browser is gone, or the tab or a worker does not answer.
    pub fn held(&mut self) -> Result<Vec<HeapMemory>> {
        // Any call reads the events that arrived before its answer, so the list of workers is up to date.
        self.evaluate("0")?;
        let workers = self.cdp.seen.workers.clone();
        let sessions = std::iter::once(None).chain(workers.iter().map(|worker| Some(worker.session.as_str())));
        sessions.map(|session| self.held_in(session)).collect()
    }

    fn held_in(&mut self, session: Option<&str>) -> Result<HeapMemory> {
        // `Runtime.queryObjects` collects garbage first, so only reachable objects count.
        let bytes = "function () { return this.reduce((sum, memory) => sum + memory.buffer.byteLength, 0); }";
        let wasm = self.sum_over(session, "WebAssembly.Memory", bytes)?;
        let gpu_buffers = self.sum_over(session, "globalThis.GPUBuffer", "function () { return this.length; }")?;
        let heap = self.cdp.call_in(session, "Runtime.getHeapUsage", json!({}), LIMIT)?;
        let heap = heap["usedSize"].as_f64().context("the browser does not tell how large its heap is")? as u64;
        Ok(HeapMemory { heap, wasm, gpu_buffers })
    }

    /// Calls a JavaScript function with the array of all objects of a class as `this`, and returns its number; 0 if the
    /// class does not exist.
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
        // Otherwise the browser would keep the objects alive for its console.
        self.cdp.call_in(session, "Runtime.releaseObjectGroup", json!({ "objectGroup": "held" }), LIMIT)?;
        number(&sum)
    }
}

fn number(value: &Value) -> Result<u64> {
    value.as_f64().map(|number| number as u64).with_context(|| format!("the browser counts {value}"))
}
