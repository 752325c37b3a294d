//! The `signpost` program: see `signpost help`.

fn main() -> std::process::ExitCode {
    signpost::cli::main()
}
