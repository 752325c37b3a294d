//! Names the commit for `signpost --version`, and tells the tests whether the vendor's OpenAPI files and a PostgreSQL server are
//! available: tests that need them are reported as ignored otherwise.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(vendor_files)");
    println!("cargo::rustc-check-cfg=cfg(test_postgres)");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=SIGNPOST_VERSION={}", version());
    println!("cargo::rerun-if-env-changed=SIGNPOST_COMMIT");
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

/// The version with the commit: the one that `SIGNPOST_COMMIT` names, or the one that is checked out. Development builds do not
/// ask git, because each commit would build everything anew.
fn version() -> String {
    let variable = |name: &str| std::env::var_os(name)?.into_string().ok().filter(|value| !value.is_empty());
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR").unwrap_or_default());
    let is_development = variable("PROFILE").is_none_or(|profile| profile == "debug");
    let commit = match variable("SIGNPOST_COMMIT") {
        Some(commit) => Some(format!("commit {}", commit.get(..12).unwrap_or(&commit))),
        None if is_development => Some("development build".to_owned()),
        None => checked_out_commit(&root),
    };
    let version = variable("CARGO_PKG_VERSION").unwrap_or_default();
    format!("{version} ({})", commit.as_deref().unwrap_or("unknown commit: not built from a git checkout"))
}

/// `None` in a source archive, even below the checkout of something else.
fn checked_out_commit(root: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").current_dir(root).args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    if Path::new(&git(&["rev-parse", "--show-toplevel"])?).canonicalize().ok()? != root.canonicalize().ok()? {
        return None;
    }
    for file in ["HEAD", "logs/HEAD"] {
        println!("cargo::rerun-if-changed={}", root.join(git(&["rev-parse", "--git-path", file])?).display());
    }
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    let note = if changed.is_empty() { "" } else { ", with changes" };
    Some(format!("commit {}{note}", git(&["rev-parse", "--short=12", "HEAD"])?))
}
