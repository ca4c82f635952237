//! The command line; everything is in the library, where fuzz targets and tests reach it.

mod huge_pages;

use std::process::ExitCode;

use huge_pages::HugePages;

#[global_allocator]
static ALLOCATOR: HugePages = HugePages;

fn main() -> ExitCode {
    profiler::run()
}
