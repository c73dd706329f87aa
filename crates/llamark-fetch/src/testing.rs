//! What the tests of this crate share: folders, files, and a web server of a few lines.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use camino::{Utf8Path, Utf8PathBuf};

use crate::memory::Stamp;

/// An empty folder that goes away with the first of the pair.
pub(crate) fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().canonicalize().unwrap()).unwrap();
    (folder, path)
}

/// Writes a file and the folders above it.
pub(crate) fn put(path: &Utf8Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = std::fs::OpenOptions::new().create(true).truncate(true).write(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

/// The same state, a minute ago.
pub(crate) fn age(stamp: Stamp) -> Stamp {
    stamp.aged()
}

/// A request as the server got it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Where a range request starts.
    pub(crate) fn start(&self) -> usize {
        let range = self.header("range").and_then(|range| range.strip_prefix("bytes="));
        range.and_then(|range| range.trim_end_matches('-').parse().ok()).unwrap_or(0)
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Close the connection after this many bytes of the body.
    pub cut: Option<usize>,
}

impl Response {
    pub(crate) fn new(status: u16, body: &[u8]) -> Self {
        Self { status, headers: Vec::new(), body: body.to_vec(), cut: None }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// `body` from where the request wants it.
    pub(crate) fn ranged(request: &Request, body: &[u8]) -> Self {
        match request.start() {
            0 => Self::new(200, body),
            start if start >= body.len() => Self::new(416, b""),
            start => Self::new(206, &body[start..])
                .header("Content-Range", &format!("bytes {start}-{}/{}", body.len() - 1, body.len())),
        }
    }
}

/// A web server on a port of this machine. It lives as long as the test process.
pub(crate) struct WebServer {
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl WebServer {
    pub(crate) fn start(answer: impl Fn(&Request) -> Response + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Some(request) = read(&stream) {
                    log.lock().unwrap().push(request.clone());
                    write(stream, &request, &answer(&request));
                }
            }
        });
        Self { url, requests }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    Some(Request { method, path, headers })
}

fn write(mut stream: TcpStream, request: &Request, response: &Response) {
    let mut head = format!("HTTP/1.1 {} X\r\nConnection: close\r\n", response.status);
    head.push_str(&format!("Content-Length: {}\r\n", response.body.len()));
    for (name, value) in &response.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let body = if request.method == "HEAD" { &[] } else { response.body.as_slice() };
    let body = &body[..response.cut.unwrap_or(body.len()).min(body.len())];
    // curl may have gone away.
    drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)));
}

/// Writes a program for the shell; its path.
pub(crate) fn script(path: &Utf8Path, text: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    put(path, format!("#!/bin/sh\n{text}\n").as_bytes());
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_string()
}
