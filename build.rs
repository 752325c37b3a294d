//! Tells the tests whether the vendor's OpenAPI files and a PostgreSQL server are available: tests that need them are reported
//! as ignored otherwise.

use std::path::PathBuf;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(vendor_files)");
    println!("cargo::rustc-check-cfg=cfg(test_postgres)");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=SIGNPOST_VENDOR_FILES");
    println!("cargo::rerun-if-env-changed=SIGNPOST_TEST_POSTGRES");
    if std::env::var_os("SIGNPOST_TEST_POSTGRES").is_some() {
        println!("cargo::rustc-cfg=test_postgres");
    }
    let named = std::env::var_os("SIGNPOST_VENDOR_FILES").map(PathBuf::from);
    let folder = named.or_else(|| {
        let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR")?);
        Some(root.parent()?.join("shared/vendor/secureauth"))
    });
    if let Some(folder) = folder.filter(|folder| folder.join("identitysystem.yaml").is_file()) {
        println!("cargo::rustc-cfg=vendor_files");
        println!("cargo::rustc-env=SIGNPOST_VENDOR_FOLDER={}", folder.display());
    }
}
