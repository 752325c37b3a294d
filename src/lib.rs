//! Signpost: an authentication gateway and login router. This page is the map, in floor order: imports only go down.

pub mod kernel;
