//! As much HTTP/1.1 as a test needs: one request per connection, answers whole or in chunks.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::routes::App;

/// A request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Value,
}

/// Answers every connection, each in a thread of its own.
pub(crate) fn accept(listener: &TcpListener, app: &Arc<App>) {
    for stream in listener.incoming().flatten() {
        let app = Arc::clone(app);
        std::thread::spawn(move || {
            stream.set_nodelay(true).ok();
            // The client may hang up at any moment.
            if let Ok(request) = read(&stream) {
                app.answer(&request, &mut Answer::new(&stream, &app)).ok();
            }
        });
    }
}

fn read(stream: &TcpStream) -> std::io::Result<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    Ok(Request { method, path, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
}

/// The way back to the client.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    stream: &'a TcpStream,
    chop: usize,
    drip: Duration,
}

impl<'a> Answer<'a> {
    fn new(stream: &'a TcpStream, app: &App) -> Self {
        Self { stream, chop: app.behaviour.chop, drip: Duration::from_millis(app.behaviour.drip_ms) }
    }

    /// A whole JSON value.
    pub(crate) fn json(&mut self, status: u16, value: &Value) -> std::io::Result<()> {
        self.whole(status, "application/json; charset=utf-8", value.to_string().as_bytes())
    }

    /// A whole body.
    pub(crate) fn whole(&mut self, status: u16, content_type: &str, body: &[u8]) -> std::io::Result<()> {
        let length = body.len();
        self.head(status, &format!("Content-Type: {content_type}\r\nContent-Length: {length}"))?;
        self.raw(body)
    }

    /// The head of a stream of events.
    pub(crate) fn begin(&mut self) -> std::io::Result<()> {
        self.head(
            200,
            "X-Accel-Buffering: no\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked",
        )
    }

    /// Bytes of the stream, as chunks.
    pub(crate) fn chunk(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let most = if self.chop == 0 { usize::MAX } else { self.chop };
        for part in bytes.chunks(most.min(bytes.len().max(1))) {
            let mut chunk = format!("{:x}\r\n", part.len()).into_bytes();
            chunk.extend_from_slice(part);
            chunk.extend_from_slice(b"\r\n");
            self.raw(&chunk)?;
        }
        Ok(())
    }

    /// The end of the stream.
    pub(crate) fn end(&mut self) -> std::io::Result<()> {
        self.raw(b"0\r\n\r\n")
    }

    /// Bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    fn head(&mut self, status: u16, headers: &str) -> std::io::Result<()> {
        let head = format!("HTTP/1.1 {status} Status\r\nServer: llama.cpp\r\n{headers}\r\n\r\n");
        if self.drip.is_zero() {
            return self.raw(head.as_bytes());
        }
        for byte in head.as_bytes() {
            self.raw(std::slice::from_ref(byte))?;
            std::thread::sleep(self.drip);
        }
        Ok(())
    }
}
