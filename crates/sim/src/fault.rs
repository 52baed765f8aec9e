//! Faults as data: everything that will go wrong in a run is a list that is drawn before the run begins (`fault/draw.rs`), printed a
//! line a fault, and read back (`fault/text.rs`). What depends on the moment (is the server up?) is looked at when the moment is
//! there, in `faults.rs`. So a run can be repeated with a part of its list, and shrunk to the faults that matter.

pub mod draw;
pub mod text;

use clp_core::ids::{MonitorId, ResourceId};

use crate::operator::Order;
use crate::options::Fault;

/// One fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// When it begins, in microseconds of the run.
    pub at: u64,
    /// How long it lasts, in microseconds.
    pub span: u64,
    /// The server that it befalls.
    pub host: usize,
    /// What it is.
    pub what: What,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// The power of the server fails. Torn: the slots that it was writing stay half-written.
    Crash {
        /// Of all its disk paths.
        torn: bool,
    },
    /// All servers lose power at once, and return one by one.
    PowerLoss {
        /// After the span, by server.
        back: Vec<u64>,
    },
    /// The engine dies and is started again on the same boot after the span.
    EngineRestart,
    /// The engine dies and its parent ends the server.
    EngineDeath,
    /// The whole server stands still.
    PauseServer,
    /// The engine's loop stands still.
    PauseEngine,
    /// Cables are cut.
    Cut {
        /// Which.
        cut: Cutting,
        /// The way to the arbiter, too.
        arbiter: bool,
    },
    /// So many in a hundred datagrams are lost.
    Loss {
        /// Percent.
        percent: u64,
    },
    /// Datagrams take up to so long.
    Delay {
        /// Microseconds.
        longest: u64,
    },
    /// The server does not reach the arbiter.
    ArbiterAway,
    /// The arbiter's answers to the server take so much longer.
    ArbiterSlow {
        /// Microseconds.
        by: u64,
    },
    /// The arbiter answers the server wrongly: No; or nothing, after it did what it was asked for.
    ArbiterWrong {
        /// The latter.
        lost: bool,
    },
    /// The arbiter's record is lost. Nothing is promised until whoever relied on it is quiet.
    ArbiterForgets,
    /// The server's power controller does not answer.
    ControllerAway,
    /// The rate of the server's clock changes within what is promised.
    ClockTurns {
        /// Deviation from now on, in millionths.
        drift: i64,
    },
    /// A monitor finds errors.
    MonitorBad {
        /// Which.
        monitor: MonitorId,
    },
    /// A monitor finds errors and none in turn: its resource flaps.
    MonitorFlaps {
        /// Which.
        monitor: MonitorId,
        /// Checks until it turns round.
        every: u64,
    },
    /// Activations of a resource fail.
    StartFails {
        /// Which.
        resource: ResourceId,
    },
    /// Deactivations of a resource fail.
    StopFails {
        /// Which.
        resource: ResourceId,
        /// Detaching fails as well.
        detach: bool,
    },
    /// Operations on a resource end only after the fault, whatever their time limit is.
    Stuck {
        /// Which.
        resource: ResourceId,
    },
    /// What the server writes to its slot stays half-written.
    TornSlots {
        /// On which disk path.
        path: usize,
    },
    /// What the server reads from the disk is old.
    StaleSlots {
        /// On which disk path.
        path: usize,
        /// So many writes before those of its beginning.
        older: usize,
    },
    /// The server's own disk takes nothing new.
    DiskFull,
    /// The watchdog's reset comes late.
    WatchdogLate {
        /// After W; greater than r: later than anything promises.
        by: u64,
    },
    /// A configuration is pushed: all engines are stopped and start with a higher generation.
    Push,
    /// An operator orders something at the server.
    Operator(Order),
}

/// Which cables are cut.
#[derive(Debug, Clone, PartialEq)]
pub enum Cutting {
    /// All between the server and the others.
    Isolate,
    /// Its LANs.
    Lans,
    /// Those between it and another one.
    Pair {
        /// The other one.
        other: usize,
        /// Its way to the disks, too.
        all: bool,
    },
    /// What it sends to another one on LANs.
    OneWay {
        /// The other one.
        other: usize,
    },
    /// Its end of one path.
    Path {
        /// Which.
        path: usize,
    },
    /// Those between two sides.
    Split {
        /// One of them.
        side: Vec<usize>,
        /// Their ways to the disks, too.
        all: bool,
    },
}

impl What {
    /// Its kind.
    pub fn kind(&self) -> Fault {
        match self {
            What::Crash { .. } => Fault::Crash,
            What::PowerLoss { .. } => Fault::PowerLoss,
            What::EngineRestart => Fault::EngineRestart,
            What::EngineDeath => Fault::EngineDeath,
            What::PauseServer => Fault::PauseServer,
            What::PauseEngine => Fault::PauseEngine,
            What::Cut { cut, .. } => match cut {
                Cutting::Isolate => Fault::IsolateServer,
                Cutting::Lans => Fault::CutLans,
                Cutting::Pair { .. } => Fault::CutPair,
                Cutting::OneWay { .. } => Fault::CutOneWay,
                Cutting::Path { .. } => Fault::CutPath,
                Cutting::Split { .. } => Fault::Split,
            },
            What::Loss { .. } => Fault::Loss,
            What::Delay { .. } => Fault::Delay,
            What::ArbiterAway => Fault::ArbiterAway,
            What::ArbiterSlow { .. } => Fault::ArbiterSlow,
            What::ArbiterWrong { .. } => Fault::ArbiterWrong,
            What::ArbiterForgets => Fault::ArbiterForgets,
            What::ControllerAway => Fault::ControllerAway,
            What::ClockTurns { .. } => Fault::ClockTurns,
            What::MonitorBad { .. } => Fault::MonitorBad,
            What::MonitorFlaps { .. } => Fault::MonitorFlaps,
            What::StartFails { .. } => Fault::StartFails,
            What::StopFails { .. } => Fault::StopFails,
            What::Stuck { .. } => Fault::Stuck,
            What::TornSlots { .. } => Fault::TornSlots,
            What::StaleSlots { .. } => Fault::StaleSlots,
            What::DiskFull => Fault::DiskFull,
            What::WatchdogLate { .. } => Fault::WatchdogLate,
            What::Push => Fault::Push,
            What::Operator(_) => Fault::Operator,
        }
    }
}
