//! A connection of the Chrome DevTools Protocol: method calls, their answers, and the events that arrive between them.
//! It never interprets events; [`Seen`] records them.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, WebSocket};

use super::event_log::Seen;

/// Timeout of an ordinary call; a machine of two cores answers late while it compiles shaders.
pub const CALL_LIMIT: Duration = Duration::from_secs(60);

/// A connection to the browser or to one of its tabs.
pub struct Cdp {
    socket: WebSocket<TcpStream>,
    last_id: u64,
    /// The record of all events on this connection so far.
    pub seen: Seen,
}

impl Cdp {
    /// Connects to `ws://127.0.0.1:port/path`.
    ///
    /// # Errors
    /// When the address is not a WebSocket address, or nothing accepts the connection.
    pub fn connect(address: &str) -> Result<Self> {
        let authority = address.strip_prefix("ws://").and_then(|rest| rest.split('/').next());
        let authority = authority.with_context(|| format!("{address} is no address of a browser"))?;
        let stream = TcpStream::connect(authority).with_context(|| format!("no browser listens at {authority}"))?;
        stream.set_nodelay(true)?;
        // A screenshot of a long page is larger than the default limit of a message.
        let limits = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let (socket, _) = tungstenite::client::client_with_config(address, stream, Some(limits))
            .map_err(|error| anyhow!("{address} does not talk: {error}"))?;
        Ok(Self { socket, last_id: 0, seen: Seen::default() })
    }

    /// Calls a method and returns its result.
    ///
    /// # Errors
    /// The error that the browser answers, or no answer within [`CALL_LIMIT`].
    pub fn call(&mut self, method: &str, params: Value) -> Result<Value> {
        self.call_within(method, params, CALL_LIMIT)
    }

    /// Calls a method that may take longer than [`CALL_LIMIT`].
    ///
    /// # Errors
    /// The error that the browser answers, or no answer within `limit`.
    pub fn call_within(&mut self, method: &str, params: Value, limit: Duration) -> Result<Value> {
        self.call_in(None, method, params, limit)
    }

    /// Calls a method of a worker, given its session id; of the tab itself if `session` is `None`.
    ///
    /// # Errors
    /// The error that the browser answers, or no answer within `limit`.
    pub fn call_in(&mut self, session: Option<&str>, method: &str, params: Value, limit: Duration) -> Result<Value> {
        let id = self.send(session, method, params)?;
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

    /// Reads messages until `done` returns true for the recorded events.
    ///
    /// # Errors
    /// When it does not return true within `limit`.
    pub fn read_until(&mut self, limit: Duration, done: impl Fn(&Seen) -> bool) -> Result<()> {
        let deadline = Instant::now() + limit;
        while !done(&self.seen) {
            self.next(deadline)?;
        }
        Ok(())
    }

    /// Sends a call without waiting for its answer; returns the id of the call.
    fn send(&mut self, session: Option<&str>, method: &str, params: Value) -> Result<u64> {
        self.last_id += 1;
        let mut message = json!({ "id": self.last_id, "method": method, "params": params });
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        self.socket.send(Message::text(message.to_string())).context("the browser is gone")?;
        Ok(self.last_id)
    }

    /// Reads one message; records it if it is an event.
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
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                bail!("the browser took too long");
            }
            self.socket.get_ref().set_read_timeout(Some(remaining))?;
            match self.socket.read() {
                Ok(Message::Text(text)) => return Ok(text.as_str().to_owned()),
                Ok(Message::Close(_)) => bail!("the browser closed the connection"),
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) if timed_out(error.kind()) => {}
                Err(error) => return Err(error).context("the browser is gone"),
            }
        }
    }

    /// Enables events for a new worker and then lets it run. It waits for that, so that none of its requests is missed;
    /// so do the workers that it starts.
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
