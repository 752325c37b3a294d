//! Tells the tests whether the vendor's OpenAPI files are at hand: a test that needs them is reported as skipped without them.

use std::path::PathBuf;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(vendor_files)");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=SIGNPOST_VENDOR_FILES");
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
