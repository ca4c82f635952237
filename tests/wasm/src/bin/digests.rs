//! The native side of the comparison: one line per workload, its number and its digest in hexadecimal.
#![expect(clippy::print_stdout, reason = "the program's result")]

fn main() {
    for index in 0..wasm_digest::NUM_WORKLOADS {
        println!("{index} {:016x}", wasm_digest::digest(index));
    }
}
