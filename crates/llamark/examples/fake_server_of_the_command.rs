//! The fake llama-server, where the tests of the command find it. (The name differs from the example of
//! `llamark-bench`, since both land in one folder.)

use std::process::ExitCode;

fn main() -> ExitCode {
    llamark_fake_server::main()
}
