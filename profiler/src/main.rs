//! Measures profiles, runs simulations, and checks them against a real vLLM.

mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let files = verify::tokens::trace_files(&paths).expect("x");
    let mut same = 0;
    for file in &files {
        match verify::tokens::verify_file(file) {
            Ok(None) => same += 1,
            Ok(Some(difference)) => println!("{}: {difference}", file.display()),
            Err(error) => println!("{error:#}"),
        }
    }
    println!("{same} of {} traces identical", files.len());
    ExitCode::from(u8::from(same != files.len()))
}
