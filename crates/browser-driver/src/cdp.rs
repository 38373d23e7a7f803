//! One connection of the DevTools protocol: calls, their answers, and what arrives between them.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, WebSocket};

use super::seen::Seen;

/// How long an ordinary call may take; two cores that compile shaders answer late.
pub const CALL_LIMIT: Duration = Duration::from_secs(60);

/// A connection to the browser or to one of its tabs.
pub struct Cdp {
    socket: WebSocket<TcpStream>,
    last_id: u64,
    /// What was seen on this connection so far.
    pub seen: Seen,
}

impl Cdp {
    /// Connects to `ws://127.0.0.1:port/path`.
    pub fn connect(address: &str) -> Result<Self> {
        let authority = address.strip_prefix("ws://").and_then(|rest| rest.split('/').next());
        let authority = authority.with_context(|| format!("{address} is no address of a browser"))?;
        let stream = TcpStream::connect(authority).with_context(|| format!("no browser listens at {authority}"))?;
        stream.set_nodelay(true)?;
        // A picture of a long page is larger than the default limit of a message.
        let limits = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let (socket, _) = tungstenite::client::client_with_config(address, stream, Some(limits))
            .map_err(|error| anyhow!("{address} does not talk: {error}"))?;
        Ok(Self { socket, last_id: 0, seen: Seen::default() })
    }

    /// Calls a method and waits for its answer.
    ///
    /// # Errors
    /// What the browser answers, or that it does not answer.
    pub fn call(&mut self, method: &str, params: Value) -> Result<Value> {
        self.call_within(method, params, CALL_LIMIT)
    }

    /// Calls a method that may take long.
    ///
    /// # Errors
    /// What the browser answers, or that it does not answer within `limit`.
    pub fn call_within(&mut self, method: &str, params: Value, limit: Duration) -> Result<Value> {
        self.call_in(None, method, params, limit)
    }

    /// The same of a worker, by its session.
    ///
    /// # Errors
    /// What the browser answers, or that it does not answer within `limit`.
    pub fn call_in(&mut self, worker: Option<&str>, method: &str, params: Value, limit: Duration) -> Result<Value> {
        let id = self.send(worker, method, params)?;
        let deadline = Instant::now() + limit;
        loop {
            let message = self.next(deadline).with_context(|| format!("no answer to {method}"))?;
            if message["id"] != id {
                continue;
            }
            if let Some(error) = message.get("error") {
                bail!("{method}: {}", error["message"].as_str().unwrap_or("failed"));
            }
            return Ok(message["result"].clone());
        }
    }

    /// Reads until `done` says so of what was seen.
    ///
    /// # Errors
    /// When it does not within `limit`.
    pub fn read_until(&mut self, limit: Duration, done: impl Fn(&Seen) -> bool) -> Result<()> {
        let deadline = Instant::now() + limit;
        while !done(&self.seen) {
            self.next(deadline)?;
        }
        Ok(())
    }

    fn send(&mut self, session: Option<&str>, method: &str, params: Value) -> Result<u64> {
        self.last_id += 1;
        let mut message = json!({ "id": self.last_id, "method": method, "params": params });
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        self.socket.send(Message::text(message.to_string())).context("the browser is gone")?;
        Ok(self.last_id)
    }

    /// Reads one message; events are noted on the way.
    fn next(&mut self, deadline: Instant) -> Result<Value> {
        let text = self.read_text(deadline)?;
        let message: Value = serde_json::from_str(&text).context("the browser sent no JSON")?;
        if let Some(method) = message["method"].as_str() {
            self.seen.note(method, &message["params"]);
            if method == "Target.attachedToTarget" {
                self.watch_worker(&message["params"])?;
            }
        }
        Ok(message)
    }

    fn read_text(&mut self, deadline: Instant) -> Result<String> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("the browser took too long");
            }
            self.socket.get_ref().set_read_timeout(Some(left))?;
            match self.socket.read() {
                Ok(Message::Text(text)) => return Ok(text.as_str().to_owned()),
                Ok(Message::Close(_)) => bail!("the browser closed the connection"),
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) if timed_out(error.kind()) => {}
                Err(error) => return Err(error).context("the browser is gone"),
            }
        }
    }

    /// A worker waits until it is told to go on, so that none of its requests is missed; so do its own workers.
    fn watch_worker(&mut self, params: &Value) -> Result<()> {
        let session = params["sessionId"].as_str().context("a worker without a session")?;
        let workers = json!({ "autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true });
        self.send(Some(session), "Target.setAutoAttach", workers)?;
        for method in ["Network.enable", "Runtime.enable", "Log.enable", "Runtime.runIfWaitingForDebugger"] {
            self.send(Some(session), method, json!({}))?;
        }
        Ok(())
    }
}

fn timed_out(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
