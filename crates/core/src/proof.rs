//! Proof of death: how certain it is, before its groups are taken over, that a lost server runs nothing any more.

/// Grades, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Proof {
    /// Silence alone.
    None,
    /// Silence for the self-fence bound, while this side reached its ping targets.
    Timed,
    /// The same, and a sound method (majority, witness, etcd, disk) lets one side alone go on.
    Arbiter,
    /// The storage refuses the lost server's writes.
    Reserved,
    /// Its power was read back off.
    Stopped,
}

impl Proof {
    /// All of them.
    pub const ALL: [Proof; 5] = [Proof::None, Proof::Timed, Proof::Arbiter, Proof::Reserved, Proof::Stopped];

    /// As configurations have it (`mainstay/minproof`).
    pub fn word(self) -> &'static str {
        match self {
            Proof::None => "none",
            Proof::Timed => "timed",
            Proof::Arbiter => "arbiter",
            Proof::Reserved => "reserved",
            Proof::Stopped => "stopped",
        }
    }

    /// From the word of a configuration.
    pub fn parse(word: &str) -> Option<Proof> {
        Self::ALL.into_iter().find(|proof| proof.word() == word)
    }
}
