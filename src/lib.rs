//! Signpost: an authentication gateway and login router. This page is the map, in floor order: imports only go down.

pub mod kernel;
pub mod decision;
pub mod config;
pub mod db;
pub mod directory;
pub mod secureauth;
