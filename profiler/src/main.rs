//! The command line; everything is in the library, where fuzz targets and tests reach it.

mod pages;

use std::process::ExitCode;

use pages::WithPages;

#[global_allocator]
static ALLOCATOR: WithPages = WithPages;

fn main() -> ExitCode {
    profiler::run()
}
