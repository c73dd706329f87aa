//! Takes: the arguments of llama-server (or of llama-bench or llama-perplexity, when it is called so), and a description of how
//! to behave.
//! Gives: the protocol of llama-server as far as llamark uses it, with set speeds, and misbehaviour on demand.
//! Never: a model, a computation, an address but 127.0.0.1; nothing but tests and benchmarks runs it.

mod arguments;
mod behaviour;
mod bench;
mod choice;
mod completion;
mod http;
mod log;
mod perplexity;
mod process;
mod routes;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

pub use behaviour::{Behaviour, Body, Child, Death, Refusal, Stage, Version};
pub use perplexity::Perplexity;

use crate::arguments::Arguments;
use crate::log::Log;
use crate::routes::App;

/// The whole program: a test makes it a binary of its own with a one-line `main`.
pub fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    if let [_, word, how] = args.as_slice()
        && word == process::LINGER
    {
        return process::linger(how);
    }
    match run(&args) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            writeln!(std::io::stderr(), "fake llama-server: {error}").ok();
            ExitCode::from(99)
        }
    }
}

fn run(args: &[String]) -> Result<u8, Box<dyn std::error::Error>> {
    let program = args.first().map_or("", String::as_str);
    let given = args.get(1..).unwrap_or_default();
    // The model holds the behaviour, so it must be known before the rest can be understood.
    let model = given.iter().position(|arg| arg == "-m" || arg == "--model").and_then(|at| given.get(at + 1));
    let behaviour = Behaviour::load(program, model.map(String::as_str))?;
    if bench::is_bench(program) {
        return bench::run(&behaviour, given);
    }
    if perplexity::is_perplexity(program) {
        return perplexity::run(&behaviour, given);
    }
    let help = behaviour.version.help();
    if given.iter().any(|arg| arg == "--help" || arg == "-h") {
        std::io::stdout().write_all(help.as_bytes())?;
        return Ok(0);
    }
    if given.iter().any(|arg| arg == "--version") {
        write!(std::io::stderr(), "{}", behaviour.version.text())?;
        return Ok(0);
    }
    if given.iter().any(|arg| arg == "--list-devices") {
        let mut stdout = std::io::stdout();
        writeln!(stdout, "Available devices:")?;
        for device in &behaviour.devices {
            writeln!(stdout, "  {device}: fake device (2048 MiB, 2048 MiB free)")?;
        }
        if behaviour.devices.is_empty() && behaviour.version == Version::B11434 {
            writeln!(stdout, "  (none)")?;
        }
        return Ok(0);
    }
    let arguments = match Arguments::parse(given, help) {
        Ok(arguments) => arguments,
        Err(message) => {
            writeln!(std::io::stderr(), "{message}")?;
            return Ok(1);
        }
    };
    serve(behaviour, arguments)
}

/// A life: listen, load, answer until a signal comes.
fn serve(mut behaviour: Behaviour, arguments: Arguments) -> Result<u8, Box<dyn std::error::Error>> {
    let log = Log::new(behaviour.version, arguments.verbosity());
    if behaviour.wrong_on_device && arguments.device().is_none() {
        (behaviour.parts_at, behaviour.stuck_at) = (None, None);
    }
    if behaviour.ignore_sigterm {
        process::ignore_sigterm();
    }
    if let Some(child) = behaviour.leave {
        process::leave(child)?;
    }
    behaviour.reach(Stage::Start);
    if behaviour.config_file {
        log.line('I', "using config file: /etc/llama.cpp/config.ini");
    }
    log.greeting(&arguments);
    if let Some(refusal) = &behaviour.refuse {
        for line in &refusal.lines {
            log.raw(line);
        }
        return Ok(refusal.code);
    }
    let app = Arc::new(App::new(behaviour, arguments));
    let port = app.arguments.port();
    let Ok(listener) = std::net::TcpListener::bind(("127.0.0.1", port)) else {
        let refusal =
            format!("srv  start: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: {port}");
        log.line('E', &refusal);
        log.line('E', "srv  llama_server: exiting due to HTTP server error");
        return Ok(1);
    };
    let address = listener.local_addr()?;
    std::thread::spawn({
        let app = Arc::clone(&app);
        move || http::accept(&listener, &app)
    });
    app.behaviour.reach(Stage::Load);
    log.load(&app.behaviour, &app.arguments, || {
        std::thread::sleep(Duration::from_secs_f64(app.behaviour.load_ms.max(0.0) / 1e3));
    });
    if !app.behaviour.ignore_sigterm {
        process::catch_signals();
    }
    app.set_ready();
    log.listening(address.port());
    while process::signals() == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    app.behaviour.reach(Stage::Stop);
    // As the real one: a request in flight holds it up, a second signal does not wait.
    while app.in_flight() > 0 {
        if process::signals() > 1 {
            return Ok(1);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    log.line('I', "srv    operator(): operator(): cleaning up before exit...");
    Ok(0)
}
