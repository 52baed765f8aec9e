//! Everything that can happen in a run at an instant, and its place in the queue.

use std::rc::Rc;
use std::time::Duration;

use clp_core::arbiter::{Answer, Ask, Record};
use clp_core::ids::{MonitorId, ResourceId, ServerId};
use clp_core::message::{Frame, Letter};

use crate::network::Cut;

/// Something that happens at an instant.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Happening {
    /// A frame arrives.
    Frame {
        to: usize,
        from: usize,
        path: usize,
        frame: Rc<Frame>,
    },
    /// A message arrives.
    Message {
        to: usize,
        from: usize,
        letter: Rc<Letter>,
    },
    /// An engine's deadline.
    Wake {
        host: usize,
    },
    /// A frame reaches the shared disk.
    DiskWrite {
        host: usize,
        path: usize,
        frame: Rc<Frame>,
    },
    /// A server reads the slots.
    DiskRead {
        host: usize,
        life: u64,
        path: usize,
    },
    /// A question reaches the arbiter.
    Question {
        host: usize,
        life: u64,
        ask: Ask,
    },
    /// The record that a question leads to reaches the store.
    Swap {
        host: usize,
        life: u64,
        ask: Ask,
        version: u64,
        record: Record,
        answer: Answer,
    },
    /// Its answer arrives.
    Verdict {
        host: usize,
        life: u64,
        ask: u64,
        answer: Answer,
        age: Duration,
    },
    /// A server looks whether an arbiter answers it.
    LookAtArbiter {
        host: usize,
        life: u64,
    },
    /// A look whether another server's kernel answers.
    Searched {
        host: usize,
        life: u64,
        server: ServerId,
    },
    /// The truth about a resource changes.
    Effect {
        host: usize,
        work: u64,
        resource: ResourceId,
        on: bool,
    },
    /// An operation ends.
    Ran {
        host: usize,
        life: u64,
        run: u64,
    },
    Done {
        host: usize,
        life: u64,
        op: u64,
        resource: ResourceId,
        result: Result<(), clp_core::event::WorkError>,
    },
    /// The script before a final action ends.
    FinalScriptDone {
        host: usize,
        life: u64,
        resource: ResourceId,
        script: u64,
    },
    /// The emergency ends.
    EmergencyDone {
        host: usize,
        life: u64,
    },
    /// A monitor checks.
    Check {
        host: usize,
        run: u64,
        monitor: MonitorId,
    },
    /// The heartbeat thread looks at the watchdog.
    Feed {
        host: usize,
        boot: u64,
    },
    /// The watchdog may be at its end.
    Watchdog {
        host: usize,
        boot: u64,
    },
    /// The watchdog's reset takes effect.
    Reset {
        host: usize,
        boot: u64,
    },
    /// A time-out ratio is on the disk.
    RatioKept {
        host: usize,
        life: u64,
        ratio: u32,
    },
    /// A server is switched on.
    PowerOn {
        host: usize,
    },
    /// The service is started.
    EngineStart {
        host: usize,
        boot: u64,
    },
    /// A parent shuts its server down after the death of the engine.
    Fence {
        host: usize,
        boot: u64,
        life: u64,
    },
    /// A pause ends.
    Resume {
        host: usize,
        pauses: u64,
    },
    /// A fault of the list.
    Fault {
        number: usize,
    },
    /// What a server writes to a disk, or reads there, is whole or new again.
    SlotsWhole {
        path: usize,
        host: usize,
        torn: bool,
    },
    /// A fault of the network ends.
    Mend {
        cuts: Vec<Cut>,
    },
    /// The arbiter is reached again.
    ArbiterBack {
        host: usize,
    },
    /// Loss and delay are usual again.
    Calm,
    /// An order reaches a server's power controller.
    PowerOrder {
        host: usize,
        life: u64,
        server: usize,
    },
    /// A controller switches its server off.
    PowerCut {
        server: usize,
    },
    /// A controller tells whether its server is off; the boot that was to end, None when it does not answer.
    PowerRead {
        host: usize,
        life: u64,
        server: usize,
        order: Option<u64>,
    },
    /// The end of the faults.
    Heal,
    /// An administrator looks after what is left.
    Help,
    /// The end.
    End,
}

/// One of the queue, the earliest first; of the same moment that which was put in first.
pub(crate) struct Entry {
    pub at: u64,
    pub number: u64,
    pub happening: Happening,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}
