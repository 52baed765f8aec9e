//! Mistakes put in on purpose, to see that the checkers find them: each breaks one rule of `docs/safety.md` or one invariant
//! by lying to the core between it and the world. Nothing of this is in the core, so nothing of it can be shipped. How each lies
//! stands in `plant/lies.rs`, or beside what it breaks.

mod lies;

use clp_core::verdict::MethodKind;

pub use lies::{Memory, plan};

use crate::options::Options;

/// Where mistakes are made that are hard to see in tests of the parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    /// Servers that see each other by disk alone.
    Disk,
    /// A server or an engine that is back before it was missed.
    Restart,
    /// Orders, reports and promises of before.
    Stale,
    /// When an arbiter is asked and what its answer means.
    Arbiter,
    /// All else.
    Other,
}

macro_rules! mistakes {
    ($($(#[doc = $doc:literal])* $name:ident: $area:ident, $word:literal;)*) => {
        /// A mistake.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Planted {
            $($(#[doc = $doc])* $name,)*
        }

        /// All of them.
        const ALL: &[Planted] = &[$(Planted::$name),*];

        impl Planted {
            /// The invariant that must be reported: a plant caught by another checker proves nothing about its own.
            pub fn word(self) -> &'static str {
                match self {
                    $(Planted::$name => $word,)*
                }
            }

            /// Where it is made.
            pub fn area(self) -> Area {
                match self {
                    $(Planted::$name => Area::$area,)*
                }
            }
        }
    };
}
mistakes! {
    /// The emergency says that it is done and does nothing.
    EmergencyDoesNothing: Other, "farewell";
    /// No takeover delay, and a witness whose lease is not waited for.
    NoTakeoverDelay: Other, "single-owner";
    /// The watchdog never resets.
    NoWatchdog: Other, "single-owner";
    /// The watchdog is fed whether the right to act is held or not.
    FeedsWithoutRight: Other, "single-owner";
    /// The watchdog is fed while the engine's loop stands still.
    FedInPause: Other, "single-owner";
    /// Groups are activated without regard to dependencies.
    IgnoresDependencies: Other, "ordered:";
    /// Groups start and stop without regard to those that they wait for.
    WaitsForNobody: Other, "ordered between groups";
    /// Groups that exclude each other are started beside each other.
    ExclusionIgnored: Other, "exclusion";
    /// A deactivation that failed is told as done.
    StopFailureIsSuccess: Other, "single-owner";
    /// R12: a power controller's word that it has the order counts as the power being off.
    AcceptedIsOff: Other, "single-owner";
    /// The kernel's address gate never closes.
    GateStaysOpen: Other, "single-owner";
    /// A server without an address gate says that it has one.
    UngatedSaysGated: Other, "single-owner";
    /// The clock of a server runs slower than is promised.
    ClockRunsSlow: Other, "single-owner";
    /// Who is leaving and still stops its groups says that it has left.
    LeavingIsLeft: Other, "single-owner";
    /// R0: the right does not end with the acknowledgements.
    RightNeverEnds: Other, "single-owner";
    /// R1: whoever is silent for the time-out counts as gone.
    AbsentIsGone: Other, "single-owner";
    /// R1: a server that boots counts the absent as silent for long.
    BootForgetsAbsent: Restart, "single-owner";
    /// R2: the first Yes holds for ever.
    OneYesIsEnough: Arbiter, "single-owner";
    /// R3: a frame that arrives counts as acknowledging everything.
    HearingIsEnough: Other, "single-owner";
    /// R3, R7: the same of frames that a disk brings.
    DiskHearingIsEnough: Disk, "single-owner";
    /// R4: what others tell of the last sign of a server does not count.
    AgesAreForgotten: Stale, "single-owner";
    /// R4: a promise withholds no acknowledgement.
    PromiseFreezesNothing: Stale, "single-owner";
    /// R5: an engine restarted on the same boot takes everything as off.
    RestartOwnsNothing: Restart, "single-owner";
    /// R5: what such an engine may have is told as off while it is verified.
    PossibleIsOff: Restart, "single-owner";
    /// R6: the clock stands still while the server does.
    ClockStopsInPause: Other, "single-owner";
    /// R6: a pause counts as silence of the others.
    PauseIsSilence: Other, "no-false-accusation";
    /// What is held is given up with the first acknowledgement that is two intervals old.
    YieldsTooSoon: Other, "no-needless-stop";
    /// R7: what is read from disks is no sign of life.
    DiskIsNoSign: Disk, "single-owner";
    /// R8: a late report replaces a newer one.
    LateReportIsNew: Stale, "single-owner";
    /// R8: an order of before counts as one of now.
    LateOrderIsNew: Stale, "single-owner";
    /// The highest epoch that a server promised is told to nobody.
    PromiseIsUnsaid: Stale, "no-orphan";
    /// A new life has the number of the one before.
    LifeIsNotCounted: Restart, "no-orphan";
    /// R9: the arbiter says Yes and does not remember it.
    RecordIsNotWritten: Arbiter, "single-owner";
    /// R9: Wait counts as Yes.
    WaitIsYes: Arbiter, "single-owner";
    /// R9: a Yes is repeated without asking for as long as the time-out, so that it is dated too late.
    AnswersFromMemory: Arbiter, "single-owner";
    /// R9: the record of another side is not waited for.
    RecordRunsOutAtOnce: Arbiter, "single-owner";
    /// R9: a record that holds for ever runs out as any other.
    LastingRecordRunsOut: Arbiter, "single-owner";
    /// R9: whoever is not named in the record may change it.
    StrangerMayNarrow: Arbiter, "single-owner";
    /// R9: a record is written although another one came between.
    NoCompareAndSwap: Arbiter, "single-owner";
    /// R10: where the arbiter does not answer, having no resolution at all is enough.
    FallsToWeaker: Arbiter, "single-owner";
    /// A longer time-out of others is relied upon although none of them said so.
    RatioUnsaid: Other, "single-owner";
    /// A longer time-out that others rely upon is forgotten by the next life.
    RatioNotKept: Restart, "single-owner";
    /// Who ran at a farewell is forgotten by the next life.
    RanIsForgotten: Restart, "single-owner";
    /// How often final actions ended the server is counted anew by each life.
    RebootsCountAnew: Restart, "ladder";
    /// One more retry than configured.
    OneRetryMore: Other, "ladder";
    /// One more reactivation than configured.
    OneReactivationMore: Other, "ladder";
    /// One more failover than configured.
    OneFailoverMore: Other, "ladder";
    /// No order to another server arrives.
    OrdersGetLost: Other, "no-orphan";
    /// Groups of a lost server wait for an operator whatever is configured.
    NobodyTakesOver: Other, "no-orphan";
}

// OPEN(sim): which faults make a clock that stands still during a pause harmful?
/// Mistakes that no seed has shown yet: 20 000 runs with each found nothing. They are not counted as caught.
pub const UNSHOWN: &[Planted] = &[Planted::ClockStopsInPause];

/// Mistakes that no run can tell, because another rule holds alone what they break; they are not counted.
///
/// *Promise freezes nothing* (R4): a frame that acknowledges X also carries the age at which its sender heard X, so whoever
/// takes note of the frame counts X's silence anew (R1). Acknowledgements are carried only over edges that both ends hear,
/// and over those X is in the view. A member that still acknowledges X and whose frames no longer come leaves its coordinator
/// without right (R0), and X needs an acknowledgement or a verdict for the coordinator as well. Its other half, *ages are forgotten*,
/// is caught.
///
/// *Boot forgets the absent* (R1): the Yes must have held for the whole silence and takeover delay (R2), and nobody asks
/// before its own start.
pub const REDUNDANT: &[Planted] = &[Planted::PromiseFreezesNothing, Planted::BootForgetsAbsent];

impl Planted {
    /// All that are to be caught.
    pub fn counted() -> impl Iterator<Item = Planted> {
        ALL.iter().copied().filter(|planted| !UNSHOWN.contains(planted) && !REDUNDANT.contains(planted))
    }

    /// The mistake of this name.
    ///
    /// # Errors
    /// There is none; all names are given.
    pub fn named(name: &str) -> Result<Planted, String> {
        let found = ALL.iter().find(|planted| format!("{planted:?}") == name).copied();
        let names: Vec<String> = ALL.iter().map(|planted| format!("{planted:?}")).collect();
        found.ok_or_else(|| format!("there is no mistake {name:?}; there are {}", names.join(", ")))
    }

    /// Can a run of these options show it at all? Others need not be tried.
    pub fn concerns(self, options: &Options) -> bool {
        let arbiter = options.plan.partition.contains(&MethodKind::Arbiter);
        match self {
            Planted::OneYesIsEnough => !options.plan.partition.is_empty(),
            Planted::AcceptedIsOff => options.plan.forced_stop,
            Planted::RatioUnsaid | Planted::RatioNotKept => options.has_ratio(),
            Planted::LateOrderIsNew => options.duplicate > 0,
            Planted::RanIsForgotten => options.is_sound(),
            Planted::RebootsCountAnew => options.plan.restraints.reboot_max > 0,
            Planted::AgesAreForgotten => options.plan.servers.len() > 2,
            _ => match self.area() {
                Area::Arbiter => arbiter,
                Area::Disk => options.lan.contains(&false),
                _ => true,
            },
        }
    }
}
