//! Heartbeat paths that this server cannot use at the moment: told once each time, with what is missing.
//!
//! The paths themselves try again all the time (`clp-drivers`); that they work shows in what is heard on them.

use clp_drivers::heartbeats::PathStatus;

/// What was told of each path.
#[derive(Debug, Default)]
pub struct Unusable {
    told: Vec<bool>,
}

impl Unusable {
    /// Paths that turned unusable since the last look, with the reason.
    pub fn news(&mut self, states: impl Iterator<Item = Option<PathStatus>>) -> Vec<(usize, String)> {
        let mut news = Vec::new();
        for (path, state) in states.enumerate() {
            if self.told.len() <= path {
                self.told.push(false);
            }
            match state {
                Some(PathStatus::Failed(reason)) => {
                    if !std::mem::replace(&mut self.told[path], true) {
                        news.push((path, reason));
                    }
                }
                Some(PathStatus::Working) => self.told[path] = false,
                Some(PathStatus::Opening) | None => {}
            }
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_once_until_it_works_again() {
        let mut unusable = Unusable::default();
        let failed = |text: &str| Some(PathStatus::Failed(text.into()));
        let mut look = |states: [Option<PathStatus>; 2]| unusable.news(states.into_iter());
        assert_eq!(look([Some(PathStatus::Opening), None]), []);
        assert_eq!(look([failed("no address"), None]), [(0, "no address".to_string())]);
        assert_eq!(look([failed("no interface"), None]), []);
        assert_eq!(look([Some(PathStatus::Working), failed("no disk")]), [(1, "no disk".to_string())]);
        assert_eq!(look([failed("no address"), failed("no disk")]), [(0, "no address".to_string())]);
    }
}
