//! HTTP/1.1 to a server on this machine: one connection per request, and the moment of every arrival.
//!
//! No pool, no proxy, no redirect, no address but 127.0.0.1. The connection is driven by the very task that reads
//! from it, so that no other task stands between the arrival of bytes and our clock; dropping the future of a
//! request closes its socket.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::sse::{Splitter, TooLong};

/// Most bytes of an answer that is one JSON value.
const MAX_BODY: usize = 16 << 20;
/// Most bytes of one event. The last one repeats the prompt as text.
const MAX_EVENT: usize = 16 << 20;
/// Most bytes of the head of an answer, and of one read.
const MAX_HEAD: usize = 256 << 10;
/// How long the end of a stream is waited for once its last event is here.
const LINGER: Duration = Duration::from_millis(50);

/// A server on this machine.
#[derive(Clone, Debug)]
pub struct Client {
    address: SocketAddr,
}

/// When a stream of events began and ended.
#[derive(Clone, Copy, Debug)]
pub struct StreamTimes {
    /// The request is about to be written to a connection that stands.
    pub sent: Instant,
    /// The last event is here.
    pub ended: Instant,
}

/// Whether a stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// There is more to come.
    More,
    /// This was the last event.
    Last,
}

/// A request got no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server listens somewhere that is not 127.0.0.1.
    #[error("the server listens on `{url}`, which is not an http address of 127.0.0.1")]
    Address {
        /// What it says.
        url: String,
    },
    /// No connection.
    #[error("cannot connect to {address}")]
    Connect {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The connection broke, or carried no HTTP.
    #[error("{path}: the connection broke: {}", whole(.source))]
    Broken {
        /// Path of the request.
        path: String,
        /// Why.
        #[source]
        source: hyper::Error,
    },
    /// The request cannot be formed.
    #[error("{path}: the request cannot be formed")]
    Form {
        /// Path of the request.
        path: String,
        /// Why.
        #[source]
        source: hyper::http::Error,
    },
    /// An answer other than 200.
    #[error("{path}: HTTP {status}: {message}")]
    Status {
        /// Path of the request.
        path: String,
        /// The status.
        status: u16,
        /// What the server says, or the head of its answer.
        message: String,
    },
    /// The answer is too large.
    #[error("{path}: an answer of more than {limit} bytes")]
    TooLarge {
        /// Path of the request.
        path: String,
        /// Most bytes.
        limit: usize,
    },
    /// An event is too large.
    #[error("{path}: {source}")]
    Event {
        /// Path of the request.
        path: String,
        /// Why.
        #[source]
        source: TooLong,
    },
    /// The answer is no JSON.
    #[error("{path}: the answer is no JSON ({source}): {excerpt}")]
    Json {
        /// Path of the request.
        path: String,
        /// The head of the answer.
        excerpt: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The answer is no stream of events.
    #[error("{path}: the answer is `{content_type}`, not a stream of events")]
    NoStream {
        /// Path of the request.
        path: String,
        /// What it is.
        content_type: String,
    },
    /// The stream ended before its last event.
    #[error("{path}: the stream ended after {events} events, without the last one")]
    Cut {
        /// Path of the request.
        path: String,
        /// Events that came.
        events: u64,
    },
}

impl ClientError {
    /// Whether the server may have died: nobody answers any more.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Broken { .. } | Self::Cut { .. })
    }
}

/// The message of an error and of what caused it; hyper's own messages name only the step that failed.
fn whole(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl Client {
    /// The server at `url`, which is `http://127.0.0.1:PORT`.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn new(url: &str) -> Result<Self, ClientError> {
        let address = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        let address = address.and_then(|address| address.parse::<SocketAddr>().ok());
        match address {
            Some(address) if address.ip() == std::net::Ipv4Addr::LOCALHOST && address.port() != 0 => {
                Ok(Self { address })
            }
            _ => Err(ClientError::Address { url: excerpt(url.as_bytes()) }),
        }
    }

    /// Gets a JSON value.
    ///
    /// # Errors
    /// When there is no answer with status 200 that is JSON and of bounded size.
    pub async fn get(&self, path: &str) -> Result<Value, ClientError> {
        let mut exchange = Exchange::open(self.address, path).await?;
        let response = exchange.send(Method::GET, Bytes::new()).await?;
        exchange.json(response).await
    }

    /// Posts a JSON value and gets one back.
    ///
    /// # Errors
    /// When there is no answer with status 200 that is JSON and of bounded size.
    pub async fn post(&self, path: &str, body: Vec<u8>) -> Result<Value, ClientError> {
        let mut exchange = Exchange::open(self.address, path).await?;
        let response = exchange.send(Method::POST, Bytes::from(body)).await?;
        exchange.json(response).await
    }

    /// Posts a JSON value and gets a stream of events: `on_event` is given the data of each with the moment at
    /// which the bytes that complete it were read.
    ///
    /// # Errors
    /// When the answer is no stream of events with status 200, or ends before `on_event` has said
    /// [`Next::Last`].
    pub async fn stream(
        &self,
        path: &str,
        body: Vec<u8>,
        mut on_event: impl FnMut(Instant, &[u8]) -> Next,
    ) -> Result<StreamTimes, ClientError> {
        let mut exchange = Exchange::open(self.address, path).await?;
        let sent = Instant::now();
        let response = exchange.send(Method::POST, Bytes::from(body)).await?;
        let content_type = response.headers().get(header::CONTENT_TYPE).map(header::HeaderValue::as_bytes);
        let content_type = content_type.unwrap_or_default();
        if !content_type.starts_with(b"text/event-stream") {
            return Err(ClientError::NoStream { path: path.to_owned(), content_type: excerpt(content_type) });
        }
        let mut body = response.into_body();
        let mut splitter = Splitter::new(MAX_EVENT);
        let mut events = 0;
        loop {
            let Some(chunk) = exchange.chunk(&mut body).await? else {
                return Err(ClientError::Cut { path: path.to_owned(), events });
            };
            let arrived = Instant::now();
            let mut next = Next::More;
            let fed = splitter.feed(&chunk, |data| {
                if next == Next::More {
                    events += 1;
                    next = on_event(arrived, data);
                }
            });
            if next == Next::Last {
                // The server ends the stream by itself; hanging up on it first would be rude, waiting long silly.
                let rest = async { while let Ok(Some(_)) = exchange.chunk(&mut body).await {} };
                let _ended = tokio::time::timeout(LINGER, rest).await;
                return Ok(StreamTimes { sent, ended: arrived });
            }
            fed.map_err(|source| ClientError::Event { path: path.to_owned(), source })?;
        }
    }
}

/// One connection, and the one request that it is for.
struct Exchange {
    path: String,
    sender: http1::SendRequest<Full<Bytes>>,
    connection: Pin<Box<http1::Connection<TokioIo<TcpStream>, Full<Bytes>>>>,
    is_done: bool,
    address: SocketAddr,
}

impl Exchange {
    async fn open(address: SocketAddr, path: &str) -> Result<Self, ClientError> {
        let connected = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        let stream = connected.await.map_err(|source| ClientError::Connect { address, source })?;
        let mut builder = http1::Builder::new();
        builder.max_buf_size(MAX_HEAD);
        let (sender, connection) = builder
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|source| ClientError::Broken { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), sender, connection: Box::pin(connection), is_done: false, address })
    }

    /// Drives the connection until `future`, which waits for something of it, has it.
    async fn drive<T>(
        connection: &mut Pin<Box<http1::Connection<TokioIo<TcpStream>, Full<Bytes>>>>,
        is_done: &mut bool,
        future: impl Future<Output = T>,
    ) -> T {
        let mut future = pin!(future);
        poll_fn(|context| {
            if let Poll::Ready(value) = future.as_mut().poll(context) {
                return Poll::Ready(value);
            }
            // An error of the connection also comes out of `future`.
            if !*is_done && connection.as_mut().poll(context).is_ready() {
                *is_done = true;
            }
            future.as_mut().poll(context)
        })
        .await
    }

    /// Sends the request and gets the head of an answer with status 200.
    async fn send(&mut self, method: Method, body: Bytes) -> Result<Response<Incoming>, ClientError> {
        let request = Request::builder()
            .method(method)
            .uri(&self.path)
            .header(header::HOST, self.address.to_string())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONNECTION, "close")
            .body(Full::new(body))
            .map_err(|source| ClientError::Form { path: self.path.clone(), source })?;
        let answer =
            Self::drive(&mut self.connection, &mut self.is_done, self.sender.send_request(request)).await;
        let response = answer.map_err(|source| ClientError::Broken { path: self.path.clone(), source })?;
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(response);
        }
        let body = self.body(response).await.unwrap_or_default();
        let message = serde_json::from_slice::<Value>(&body).ok();
        let message = message.as_ref().and_then(|value| value.pointer("/error/message")?.as_str());
        let message = message.map_or_else(|| excerpt(&body), |message| excerpt(message.as_bytes()));
        Err(ClientError::Status { path: self.path.clone(), status: status.as_u16(), message })
    }

    async fn json(&mut self, response: Response<Incoming>) -> Result<Value, ClientError> {
        let body = self.body(response).await?;
        serde_json::from_slice(&body).map_err(|source| ClientError::Json {
            path: self.path.clone(),
            excerpt: excerpt(&body),
            source,
        })
    }

    async fn body(&mut self, response: Response<Incoming>) -> Result<Vec<u8>, ClientError> {
        let mut body = response.into_body();
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk(&mut body).await? {
            if bytes.len().saturating_add(chunk.len()) > MAX_BODY {
                return Err(ClientError::TooLarge { path: self.path.clone(), limit: MAX_BODY });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// The next bytes of the body; nothing at its end.
    async fn chunk(&mut self, body: &mut Incoming) -> Result<Option<Bytes>, ClientError> {
        loop {
            let frame = Self::drive(&mut self.connection, &mut self.is_done, body.frame()).await;
            match frame {
                None => return Ok(None),
                Some(Err(source)) => return Err(ClientError::Broken { path: self.path.clone(), source }),
                // A frame that is no data holds trailers, which mean nothing here.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

/// The head of an answer, for a message.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    const MOST: usize = 200;
    let head = bytes.get(..MOST).unwrap_or(bytes);
    let mut text = String::from_utf8_lossy(head).replace(char::is_control, " ");
    if bytes.len() > MOST {
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn only_this_machine_is_spoken_to() {
        assert!(Client::new("http://127.0.0.1:8080").is_ok());
        assert!(Client::new("http://127.0.0.1:8080/").is_ok());
        for bad in [
            "http://0.0.0.0:8080",
            "http://10.0.0.1:8080",
            "https://127.0.0.1:1",
            "http://127.0.0.1:0",
            "unix:///tmp/x",
            "http://127.0.0.1:99999",
            "http://[::1]:80",
            "",
        ] {
            assert!(matches!(Client::new(bad), Err(ClientError::Address { .. })), "{bad}");
        }
    }

    #[test]
    fn an_excerpt_is_short_and_one_line() {
        assert_eq!(excerpt(b"a\nb"), "a b");
        assert_eq!(excerpt(&[b'x'; 300]).len(), 203);
        assert_eq!(excerpt("é".repeat(150).as_bytes()).chars().count(), 103);
    }

    /// A server that reads one request and writes `parts`, a moment apart.
    fn serve(parts: &'static [&'static [u8]]) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            for part in parts {
                stream.write_all(part).unwrap();
                std::thread::sleep(Duration::from_millis(30));
            }
        });
        Client::new(&url).unwrap()
    }

    #[tokio::test]
    async fn every_event_has_its_own_moment() {
        const HEAD: &[u8] =
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        let client = serve(&[HEAD, b"9\r\ndata: 1\n\n\r\n", b"9\r\ndata: 2\n\n\r\n", b"0\r\n\r\n"]);
        let mut seen = Vec::new();
        let times = client
            .stream("/completion", b"{}".to_vec(), |at, data| {
                seen.push((at, data.to_vec()));
                if data == b"2" { Next::Last } else { Next::More }
            })
            .await
            .unwrap();
        assert_eq!(seen.len(), 2);
        let gap = seen[1].0 - seen[0].0;
        assert!((20..200).contains(&gap.as_millis()), "{gap:?}");
        assert_eq!(times.ended, seen[1].0);
        assert!(times.sent < seen[0].0);
    }

    #[tokio::test]
    async fn what_is_no_stream_is_refused() {
        let client = serve(&[b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi"]);
        let error = client.stream("/completion", Vec::new(), |_, _| Next::More).await.unwrap_err();
        assert_eq!(error.to_string(), "/completion: the answer is `text/html`, not a stream of events");
        let client = serve(&[b"nonsense\r\n\r\n"]);
        let error = client.get("/health").await.unwrap_err();
        assert!(error.is_disconnected(), "{error}");
        let client =
            serve(&[b"HTTP/1.1 503 Busy\r\nContent-Length: 31\r\n\r\n{\"error\":{\"message\":\"Loading\"}}"]);
        let error = client.get("/health").await.unwrap_err();
        assert_eq!(error.to_string(), "/health: HTTP 503: Loading");
    }
}
