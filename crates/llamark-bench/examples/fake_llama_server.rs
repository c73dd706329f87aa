//! The fake llama-server as a binary of its own, where the tests find it: beside them, in `examples/`.

use std::process::ExitCode;

fn main() -> ExitCode {
    llamark_fake_server::main()
}
