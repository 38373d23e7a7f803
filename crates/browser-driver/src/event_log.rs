//! A record of the events of a tab and its workers: requests, errors, loads. A pure fold over the browser's events; it
//! never sends anything.

use serde_json::Value;

/// All recorded events so far.
#[derive(Debug, Default)]
pub struct Seen {
    /// Addresses of all requests of the page and its workers, in order.
    pub requests: Vec<String>,
    /// Console errors, uncaught exceptions, and errors that the browser itself reports.
    pub errors: Vec<String>,
    /// Number of `load` events so far.
    pub n_loads: usize,
    /// Running workers, including workers of workers, in the order in which they started.
    pub workers: Vec<Worker>,
}

/// A running worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// The protocol's session id, which calls to this worker name.
    pub session: String,
    /// The worker's name, or its address if it has none.
    pub name: String,
}

impl Seen {
    /// Records one event of the protocol.
    pub fn note(&mut self, method: &str, params: &Value) {
        match method {
            "Network.requestWillBeSent" => self.requests.extend(text(&params["request"]["url"])),
            "Page.loadEventFired" => self.n_loads += 1,
            "Target.attachedToTarget" => self.workers.extend(worker(params)),
            "Target.detachedFromTarget" => self.workers.retain(|worker| params["sessionId"] != worker.session),
            "Runtime.consoleAPICalled" => self.errors.extend(console_error(params)),
            "Runtime.exceptionThrown" => self.errors.push(exception(&params["exceptionDetails"])),
            "Log.entryAdded" => self.errors.extend(log_error(&params["entry"])),
            "Inspector.targetCrashed" => self.errors.push("the tab crashed".to_owned()),
            _ => {}
        }
    }
}

/// The worker that a `Target.attachedToTarget` event announces; `None` if the target is not a worker.
fn worker(params: &Value) -> Option<Worker> {
    if params["targetInfo"]["type"] != "worker" {
        return None;
    }
    Some(Worker { session: text(&params["sessionId"])?, name: text(&params["targetInfo"]["title"])? })
}

/// The text of an exception, as the console shows it.
pub fn exception(details: &Value) -> String {
    let described = text(&details["exception"]["description"]).or_else(|| text(&details["exception"]["value"]));
    described.or_else(|| text(&details["text"])).unwrap_or_else(|| details.to_string())
}

fn console_error(params: &Value) -> Option<String> {
    if !matches!(params["type"].as_str(), Some("error" | "assert")) {
        return None;
    }
    let arguments = params["args"].as_array()?.iter().map(argument);
    Some(arguments.collect::<Vec<_>>().join(" "))
}

fn argument(argument: &Value) -> String {
    text(&argument["value"]).or_else(|| text(&argument["description"])).unwrap_or_else(|| argument["value"].to_string())
}

fn log_error(entry: &Value) -> Option<String> {
    if entry["level"] != "error" {
        return None;
    }
    let place = entry["url"].as_str().unwrap_or("no address");
    Some(format!("{} ({place})", entry["text"].as_str().unwrap_or("an error")))
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn requests_loads_and_errors_are_recorded() {
        let mut seen = Seen::default();
        seen.note("Network.requestWillBeSent", &json!({ "request": { "url": "http://127.0.0.1/a" } }));
        seen.note("Page.loadEventFired", &json!({}));
        seen.note("Runtime.consoleAPICalled", &json!({ "type": "log", "args": [{ "value": "fine" }] }));
        seen.note(
            "Runtime.consoleAPICalled",
            &json!({ "type": "error", "args": [{ "value": "bad" }, { "value": 3 }] }),
        );
        seen.note("Log.entryAdded", &json!({ "entry": { "level": "error", "text": "404", "url": "http://x/y" } }));
        assert_eq!(seen.requests, ["http://127.0.0.1/a"]);
        assert_eq!(seen.n_loads, 1);
        assert_eq!(seen.errors, ["bad 3", "404 (http://x/y)"]);
    }

    #[test]
    fn only_running_workers_are_listed() {
        let mut seen = Seen::default();
        for (session, kind, name) in [("a", "worker", "x.js"), ("b", "worker", "peer"), ("c", "iframe", "")] {
            let info = json!({ "sessionId": session, "targetInfo": { "title": name, "type": kind } });
            seen.note("Target.attachedToTarget", &info);
        }
        seen.note("Target.detachedFromTarget", &json!({ "sessionId": "a" }));
        assert_eq!(seen.workers, [Worker { session: "b".into(), name: "peer".into() }]);
    }

    #[test]
    fn an_exception_is_shown_by_its_description() {
        let details = json!({ "text": "Uncaught", "exception": { "description": "TypeError: no" } });
        assert_eq!(exception(&details), "TypeError: no");
        assert_eq!(exception(&json!({ "text": "Uncaught" })), "Uncaught");
    }
}
