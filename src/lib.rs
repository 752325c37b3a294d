//! Signpost: an authentication gateway and login router. This page is the map, from the lowest layer up. Imports go down only.

pub mod config;

pub mod telemetry;

pub mod i18n;

pub mod db;

pub mod audit;

pub mod queue;

pub mod secureauth;

pub mod sessions;

pub mod directory;

pub mod routing;

pub mod access;

pub mod handoffs;

pub mod provisioning;

pub mod mail;

pub mod state;

pub mod personal_data;

pub mod web;

pub mod login;

pub mod api;

pub mod console;

pub mod monitoring;

pub mod app;

pub mod cli;
