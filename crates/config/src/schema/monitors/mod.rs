//! Monitor resource types that can run; other types are kept in the file and named.

pub mod arpw;
pub mod diskw;
pub mod fipw;
pub mod genw;
pub mod miiw;
pub mod psw;
pub mod userw;

/// Defaults of the common parameters that differ by type (defaults.csv).
pub fn common_defaults(kind: &str) -> &'static [(&'static str, &'static str)] {
    match kind {
        "userw" => &[("polling/interval", "30"), ("polling/timeout", "300")],
        "diskw" => &[("polling/interval", "60"), ("polling/timeout", "120")],
        "ipw" => &[("polling/interval", "30"), ("polling/timeout", "30")],
        "miiw" => &[("polling/interval", "10"), ("polling/timeout", "60")],
        "pidw" => &[("polling/interval", "5"), ("polling/timeout", "60"), ("polling/timing", "1")],
        "genw" => &[("polling/interval", "60"), ("polling/timeout", "120")],
        "arpw" => &[("polling/interval", "30"), ("polling/timeout", "180"), ("polling/timing", "1")],
        "fipw" => &[("polling/interval", "60"), ("polling/timeout", "60"), ("polling/timing", "1")],
        _ => &[],
    }
}
