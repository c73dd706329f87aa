//! Tests of `download`.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};

use llamark_process::Interrupt;

use super::*;
use crate::fetcher::Fetcher;
use crate::testing::{Response, WebServer, folder, put};

fn body() -> Vec<u8> {
    (0..300_000_u32).map(|index| (index * 7 % 251) as u8).collect()
}

fn download(cache: &Utf8Path, url: &str, expected: &Sha256) -> Result<Utf8PathBuf, FetchError> {
    let (fetcher, interrupt) = (Fetcher::new(cache), Interrupt::new());
    let job = Job { fetcher: &fetcher, interrupt: &interrupt, observer: &|_| () };
    job.download(Download { url, expected, what: "it", token: None })
}

fn starts(server: &WebServer) -> Vec<usize> {
    server.requests().iter().map(crate::testing::Request::start).collect()
}

#[test]
fn a_file_is_downloaded_once_through_redirects() {
    let (_keep, cache) = folder();
    let server = WebServer::start(|request| match request.path.as_str() {
        "/moved" => Response::new(302, b"").header("Location", "/f[1].bin"),
        _ => Response::ranged(request, &body()),
    });
    let digest = Sha256::of_bytes(&body());
    let path = download(&cache, &format!("{}/moved", server.url), &digest).unwrap();
    assert_eq!(fs_err::read(&path).unwrap(), body());
    assert_eq!(download(&cache, &format!("{}/moved", server.url), &digest).unwrap(), path);
    assert_eq!(server.requests().len(), 2, "the second time asks nobody");
}

#[test]
fn a_broken_download_goes_on_where_it_was() {
    let (_keep, cache) = folder();
    let count = AtomicU32::new(0);
    let server = WebServer::start(move |request| {
        let mut response = Response::ranged(request, &body());
        if count.fetch_add(1, Ordering::SeqCst) < 2 {
            response.cut = Some(100_000);
        }
        response
    });
    let digest = Sha256::of_bytes(&body());
    let path = download(&cache, &server.url, &digest).unwrap();
    assert_eq!(fs_err::read(&path).unwrap(), body());
    assert_eq!(starts(&server), [0, 100_000, 200_000]);
}

#[test]
fn what_was_left_by_an_earlier_run_is_used_or_replaced() {
    let digest = Sha256::of_bytes(&body());
    let part = |cache: &Utf8Path| cache.join(format!("downloads/{digest}.part"));
    // (what lies there, where the requests start)
    let cases: [(Vec<u8>, &[usize]); 3] =
        [(body()[..250_000].to_vec(), &[250_000]), (body(), &[300_000]), (vec![1; 1000], &[1000, 0])];
    for (left, expected) in cases {
        let (_keep, cache) = folder();
        put(&part(&cache), &left);
        let server = WebServer::start(|request| Response::ranged(request, &body()));
        let path = download(&cache, &server.url, &digest).unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), body());
        assert_eq!(starts(&server), expected);
    }
}

#[test]
fn a_server_without_ranges_starts_again() {
    let (_keep, cache) = folder();
    let digest = Sha256::of_bytes(&body());
    put(&cache.join(format!("downloads/{digest}.part")), &body()[..1000]);
    let server = WebServer::start(|_| Response::new(200, &body()));
    let path = download(&cache, &server.url, &digest).unwrap();
    assert_eq!(fs_err::read(&path).unwrap(), body());
}

#[test]
fn the_wrong_bytes_are_refused_and_not_kept() {
    let (_keep, cache) = folder();
    let server = WebServer::start(|request| Response::ranged(request, b"something else"));
    let error = download(&cache, &server.url, &Sha256::of_bytes(b"x")).unwrap_err();
    assert!(error.is_mismatch());
    let said = error.to_string();
    assert!(said.contains(Sha256::of_bytes(b"something else").as_str()), "{said}");
    let names: Vec<String> = cache
        .join("downloads")
        .read_dir_utf8()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_owned())
        .collect();
    assert!(names.iter().all(|name| name.ends_with(".lock")), "{names:?}");
}

#[test]
fn errors_of_servers() {
    let (_keep, cache) = folder();
    let digest = Sha256::of_bytes(b"x");
    for (status, hint) in [(404, "check the address"), (403, "HF_TOKEN"), (401, "HF_TOKEN")] {
        let server = WebServer::start(move |_| Response::new(status, b"no"));
        let error = download(&cache, &server.url, &digest).unwrap_err();
        assert!(matches!(&error, FetchError::Status { status: found, .. } if *found == status), "{error}");
        assert!(error.hint().unwrap().contains(hint));
        assert_eq!(server.requests().len(), 1, "no second try for {status}");
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = download(&cache, &format!("http://{closed}/f"), &digest).unwrap_err();
    assert!(matches!(&error, FetchError::Program { program: "curl", .. }), "{error}");
    for url in ["file:///etc/passwd", "ftp://h/f", "-o/tmp/x", "https://h/a b", "https://h/\nx"] {
        assert!(matches!(download(&cache, url, &digest), Err(FetchError::Refused { .. })), "{url}");
    }
}

#[test]
fn a_redirect_to_a_file_of_this_machine_is_not_followed() {
    let (_keep, cache) = folder();
    let server = WebServer::start(|_| Response::new(302, b"").header("Location", "file:///etc/hostname"));
    let hostname = fs_err::read("/etc/hostname").unwrap_or_default();
    assert!(download(&cache, &server.url, &Sha256::of_bytes(&hostname)).is_err());
}

#[test]
fn progress_is_told_and_an_interrupt_keeps_what_is_there() {
    let (_keep, cache) = folder();
    let server = WebServer::start(|request| {
        if request.start() == 0 {
            // The header promises more than comes, and the connection stays open.
            std::thread::sleep(Duration::from_millis(300));
        }
        Response::ranged(request, &body())
    });
    let (fetcher, interrupt) = (Fetcher::new(&cache), Interrupt::new());
    let events = RefCell::new(Vec::new());
    let observer = |event| {
        events.borrow_mut().push(event);
        interrupt.set();
    };
    let job = Job { fetcher: &fetcher, interrupt: &interrupt, observer: &observer };
    let digest = Sha256::of_bytes(&body());
    let result = job.download(Download { url: &server.url, expected: &digest, what: "it", token: None });
    assert!(matches!(result, Err(FetchError::Interrupted)), "{result:?}");
    assert!(matches!(&events.borrow()[0], Event::Downloading { what, done: 0, .. } if what == "it"));
    assert_eq!(fs_err::read(download(&cache, &server.url, &digest).unwrap()).unwrap(), body());
}

#[test]
fn without_curl_the_message_says_how_to_get_it() {
    let (_keep, cache) = folder();
    let mut fetcher = Fetcher::new(&cache);
    fetcher.curl = "no-such-curl".to_owned();
    let interrupt = Interrupt::new();
    let job = Job { fetcher: &fetcher, interrupt: &interrupt, observer: &|_| () };
    let digest = Sha256::of_bytes(b"x");
    let download = Download { url: "http://127.0.0.1:1/f", expected: &digest, what: "it", token: None };
    let error = job.download(download).unwrap_err();
    assert_eq!(error.to_string(), "a download needs the program `no-such-curl`, which is not installed");
    assert!(error.hint().unwrap().contains("sudo apt install curl"));
}

#[test]
fn heads_are_read_over_redirects() {
    let mut head = Head::default();
    for line in [
        "HTTP/1.1 302 Found",
        "Content-Length: 5",
        "Location: x",
        "",
        "HTTP/2 206 ",
        "content-range: bytes 5-9/10\r",
        "X-Y: a: b",
    ] {
        head.line(line);
    }
    assert_eq!((head.status, head.total, head.get("location")), (206, Some(10), None));
    assert_eq!(head.get("x-y"), Some("a: b"));
}

#[test]
fn names_from_urls_are_names() {
    for (url, name) in [
        ("https://h/a/Model-Q4_K_M.gguf?download=true#x", "Model-Q4_K_M.gguf"),
        ("https://h/a%2F..%2Fb.gguf", "a_2F.._2Fb.gguf"),
        ("https://h/", "h"),
        ("https://h/..", "download"),
        ("https://h/größe.gguf", "gr__e.gguf"),
    ] {
        assert_eq!(file_name(url), name);
    }
}
