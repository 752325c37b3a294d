//! How settings that were read again differ from those in effect.

use super::Config;

/// Settings that are read at the start only.
macro_rules! restart_only {
    ($($section:ident . $key:ident),* $(,)?) => {
        /// Settings that need a restart, by name.
        pub const RESTART_ONLY: &[&str] = &[$(concat!(stringify!($section), ".", stringify!($key))),*];

        impl Config {
            /// Keeps the running values of the settings that need a restart. Returns the names of those that differ.
            pub fn keep_until_restart(&mut self, running: &Self) -> Vec<&'static str> {
                let mut differing = Vec::new();
                // The rest of the section belongs to the listener: without one, it may be empty.
                if self.console.listen.is_some() != running.console.listen.is_some() {
                    differing.push("console.listen");
                    self.console = running.console.clone();
                }
                $(
                    if self.$section.$key != running.$section.$key {
                        differing.push(concat!(stringify!($section), ".", stringify!($key)));
                        self.$section.$key.clone_from(&running.$section.$key);
                    }
                )*
                differing
            }
        }
    };
}

restart_only! {
    server.listen,
    server.unix_socket_mode,
    server.management_listen,
    server.max_connections,
    database.url,
    database.connections,
    console.listen,
    log.format,
    traces.endpoint,
    traces.headers,
    traces.environment,
}

/// Compares every section by name.
macro_rules! sections {
    ($($section:ident),* $(,)?) => {
        impl Config {
            /// The sections that differ. Files and environment variables that hold secrets are compared by name.
            pub fn changed_sections(&self, running: &Self) -> Vec<&'static str> {
                // A section that is missing below is an error here.
                let Self { $($section),* } = self;
                let mut changed = Vec::new();
                $(
                    if *$section != running.$section {
                        changed.push(stringify!($section));
                    }
                )*
                changed
            }
        }
    };
}

sections! {
    server, database, secrets, legacy, portal, routing, return_to, legacy_paths, sessions, limits, audit, oidc, secureauth,
    mail, help, security_txt, console, log, traces,
}
