//! The integration tests: one binary, a file a topic. `harness` builds the real application and the outside world.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod architecture;
mod billers_api;
mod catalogues;
mod cli;
mod config;
mod console;
mod contract;
mod crm;
mod decisions;
mod devices;
mod directory;
mod doors;
mod enablement;
mod handoffs;
mod harness;
mod headers;
mod health;
mod hostile_provider;
mod identity;
mod impact;
mod keys;
mod kills;
mod languages;
mod logout_tokens;
mod logs;
mod mail;
mod management;
mod operators;
mod orders;
mod outages;
mod outbox;
mod protocol;
mod readiness;
mod recovery;
mod resets;
mod serving;
mod sessions;
mod sign_in;
mod simulations;
mod standin_api;
mod trail;
mod verify;
mod worlds;
