//! The integration tests: one binary, a file a topic. `harness` builds the real application and the outside world.

mod architecture;
mod cli;
mod config;
mod decisions;
mod directory;
mod doors;
mod handoffs;
mod harness;
mod headers;
mod hostile_provider;
mod logs;
mod sessions;
mod sign_in;
