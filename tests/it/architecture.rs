//! Layers: imports point to lower layers only, and libraries stay in their modules. ARCHITECTURE.md explains the list.

use std::path::{Path, PathBuf};

/// Top-level modules and their layers.
const LAYERS: [(&str, u8); 24] = [
    ("config", 2),
    ("telemetry", 3),
    ("i18n", 3),
    ("db", 4),
    ("audit", 5),
    ("queue", 5),
    ("secureauth", 6),
    ("sessions", 6),
    ("directory", 7),
    ("routing", 8),
    ("access", 9),
    ("handoffs", 10),
    ("provisioning", 10),
    ("mail", 11),
    ("state", 12),
    ("personal_data", 13),
    ("web", 13),
    ("login", 14),
    ("api", 14),
    ("console", 14),
    ("monitoring", 14),
    ("app", 15),
    ("cli", 17),
    ("main", 18),
];

/// Libraries and the modules that may use them.
const LIBRARIES: [(&str, &[&str]); 14] = [
    ("axum", &["state", "web", "login", "api", "console", "monitoring", "app"]),
    ("sqlx", &["db"]),
    // In `telemetry` it sends traces to the collector.
    ("reqwest", &["secureauth", "telemetry"]),
    ("openidconnect", &["secureauth"]),
    ("askama", &["login", "mail", "console", "api"]),
    ("prometheus_client", &["telemetry"]),
    ("opentelemetry", &["telemetry"]),
    ("opentelemetry_sdk", &["telemetry"]),
    ("opentelemetry_proto", &["telemetry"]),
    ("fluent_bundle", &["i18n"]),
    ("lettre", &["mail"]),
    (
        "utoipa",
        &[
            "api",
            "audit",
            "directory",
            "handoffs",
            "provisioning",
            "routing",
            "secureauth",
            "state",
            "telemetry",
            "web",
        ],
    ),
    ("utoipa_axum", &["api"]),
    (
        "tokio",
        &[
            "config",
            "telemetry",
            "db",
            "audit",
            "queue",
            "secureauth",
            "directory",
            "routing",
            "access",
            "provisioning",
            "mail",
            "state",
            "web",
            "login",
            "api",
            "console",
            "monitoring",
            "app",
            "cli",
        ],
    ),
];

fn sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inside = path.strip_prefix(root).unwrap();
                let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
                let module = first.trim_end_matches(".rs").to_owned();
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((module, path.clone(), text));
            }
        }
    }
    assert!(found.len() > 50, "found the sources");
    found
}

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

/// Top-level modules that follow `crate::`, including those in `use crate::{a, b}`.
fn imports(text: &str) -> Vec<String> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut modules = Vec::new();
    for after in code.split("crate::").skip(1) {
        let names = match after.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap().split(',').map(str::trim).collect(),
            None => vec![after],
        };
        for name in names {
            modules.push(name.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_owned());
        }
    }
    modules
}

#[test]
fn imports_point_to_lower_layers() {
    let mut violations = Vec::new();
    for (module, path, text) in sources() {
        if module == "lib" {
            continue;
        }
        let own = layer(&module).unwrap_or_else(|| panic!("the module `{module}` has no layer: see ARCHITECTURE.md"));
        for other in imports(&text) {
            let Some(theirs) = layer(&other) else { continue };
            if other != module && theirs >= own {
                violations
                    .push(format!("{}: `{module}` may not import `{other}`: see ARCHITECTURE.md", path.display()));
            }
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn libraries_are_used_only_where_allowed() {
    let mut violations = Vec::new();
    for (module, path, text) in sources() {
        let code: Vec<&str> = text.lines().take_while(|line| !line.contains("#[cfg(test)]")).collect();
        for (library, modules) in LIBRARIES {
            let used = code.iter().any(|line| {
                let line = line.trim_start();
                !line.starts_with("//")
                    && (line.contains(&format!("{library}::")) || line.starts_with(&format!("use {library};")))
            });
            if used && !modules.contains(&module.as_str()) {
                violations.push(format!("{}: `{module}` may not use {library}: see ARCHITECTURE.md", path.display()));
            }
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

/// The statements of a table stand in one store, below the pages and the API.
#[test]
fn statements_stand_in_stores() {
    for (module, path, text) in sources() {
        let is_store = !["api", "app", "cli", "console", "login", "monitoring", "routing", "state", "web"]
            .contains(&module.as_str());
        assert!(is_store || !text.contains("sql!("), "{}: `{module}` may not have SQL", path.display());
    }
}

#[test]
fn every_file_has_a_module_comment() {
    for (_, path, text) in sources() {
        assert!(text.starts_with("//!"), "{} does not start with //!", path.display());
    }
}

/// The core crate has no dependency on a network library, a database or a runtime.
#[test]
fn the_core_depends_on_no_io() {
    let manifest = include_str!("../../crates/signpost-core/Cargo.toml");
    for library in ["tokio", "axum", "sqlx", "reqwest", "hyper", "openidconnect"] {
        assert!(!manifest.contains(library), "signpost-core may not depend on {library}");
    }
    let standin = include_str!("../../crates/secureauth-standin/Cargo.toml");
    assert!(!standin.lines().any(|line| line.starts_with("signpost ") || line.starts_with("signpost.")));
}
