//! The command line; everything is in the library, where fuzz targets and tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    profiler::run()
}
