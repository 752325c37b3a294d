//! The `signpost` program: see `signpost help`.

// Requests allocate and free many small pieces on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    signpost::cli::main()
}
