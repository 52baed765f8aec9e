//! What every script of the product is told, whatever runs it (environment.md).

use clp_sys::paths::Root;

/// Product, system and search path; a script's own circumstances come on top.
pub(crate) fn general(root: &Root) -> Vec<(String, String)> {
    let root = root.path().to_string_lossy().into_owned();
    let os = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let field = |name: &str| {
        let line = os.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default();
        line.trim_matches('"').to_string()
    };
    [
        ("CLP_PATH", root.clone()),
        ("CLP_ROOT", root.clone()),
        ("CLP_OSNAME", field("PRETTY_NAME")),
        ("CLP_OSVER", field("VERSION_ID")),
        ("CLP_VERSION_FULL", concat!(env!("CARGO_PKG_VERSION"), "-1").to_string()),
        ("CLP_VERSION_MAJOR", env!("CARGO_PKG_VERSION_MAJOR").to_string()),
        ("PATH", format!("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:{root}/bin")),
        ("HOME", "/root".to_string()),
        ("LANG", "C".to_string()),
    ]
    .map(|(name, value)| (name.to_string(), value))
    .into()
}
