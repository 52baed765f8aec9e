//! What may enter the tree: licences of all packages, and packages that may not be built.

use std::process::Command;

use anyhow::{Context, Result, bail};

const ALLOWED: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "Unlicense",
    "BlueOak-1.0.0",
    "CC0-1.0",
    "0BSD",
    "OpenSSL",
    "MIT-0",
];
const DENIED: &[&str] = &["ring", "openssl-sys", "native-tls", "bincode", "async-std"];

/// Every package's licence is allowed, and nothing denied is built for this target.
pub fn check() -> Result<()> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1"])
        .current_dir(super::top())
        .output()
        .context("cargo metadata")?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).context("reading cargo metadata")?;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let (name, licence) = (package["name"].as_str().unwrap_or_default(), package["license"].as_str().unwrap_or_default());
        if !is_allowed(licence) {
            bail!("package {name} has the licence {licence:?}, which is not on the list in xtask/src/licences.rs");
        }
    }
    let tree = Command::new("cargo")
        .args(["tree", "--workspace", "--prefix", "none", "-e", "normal,build", "-f", "{p}"])
        .current_dir(super::top())
        .output()
        .context("cargo tree")?;
    if !tree.status.success() {
        bail!("cargo tree failed: {}", String::from_utf8_lossy(&tree.stderr).trim());
    }
    for line in String::from_utf8_lossy(&tree.stdout).lines() {
        let name = line.split(' ').next().unwrap_or_default();
        if DENIED.contains(&name) {
            bail!("package {name} may not be built (dependencies are declared in Cargo.toml)");
        }
    }
    Ok(())
}

/// An expression such as `(MIT OR Apache-2.0) AND Unicode-3.0`: of alternatives one must be allowed, of sums all.
fn is_allowed(licence: &str) -> bool {
    let plain = licence.replace('/', " OR ").replace(['(', ')'], "");
    plain.split(" AND ").all(|part| part.split(" OR ").any(|one| ALLOWED.contains(&one.trim())))
}

#[cfg(test)]
mod tests {
    use super::is_allowed;

    #[test]
    fn alternatives_need_one_and_sums_need_all() {
        assert!(is_allowed("MIT OR GPL-3.0"));
        assert!(is_allowed("MIT/Apache-2.0"));
        assert!(is_allowed("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(!is_allowed("MIT AND GPL-3.0"));
        assert!(!is_allowed("GPL-2.0"));
        assert!(!is_allowed(""));
    }
}
