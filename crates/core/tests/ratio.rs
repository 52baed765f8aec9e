//! The temporary time-out ratio: whatever is lost between two servers and whenever each hears of an order, who relies on the
//! longer time-out of the other is not given up by it meanwhile.

use clp_core::cluster::Identity;
use clp_core::contact::Contact;
use clp_core::ids::ServerId;
use clp_core::message::{Epoch, Frame, Mode};
use clp_core::partition::Partition;
use clp_core::plan::Timing;
use clp_core::time::Time;
use clp_core::verdict::MethodKind;

mod ground;

use ground::ms;

const TIMING: Timing = Timing { takeover_data: ms(700), ..ground::TIMING };

/// A generator that gives the same numbers for the same seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

struct Side {
    contact: Contact,
    life: u64,
    /// What its disk holds.
    kept: u32,
    /// What was ordered there.
    ordered: u32,
}

fn start(me: usize, life: u64, kept: u32, now: Time) -> Contact {
    let identity = Identity { ratio: kept, ..ground::identity(me, life) };
    Contact::new(&identity, 2, now, TIMING)
}

/// Two servers, cut and healed one way at a time, told of ratios at different moments, restarted. `remembers`: over a restart.
fn run(seed: u64, remembers: bool) -> Result<u32, String> {
    let mut dice = Dice(seed);
    let mut sides: Vec<Side> =
        (0..2).map(|me| Side { contact: start(me, 1, 1, Time(0)), life: 1, kept: 1, ordered: 1 }).collect();
    let partition = Partition::new(&[MethodKind::Ping], 2, &TIMING);
    let (mut open, mut waiting): ([bool; 2], [Vec<(u64, Frame)>; 2]) = ([true; 2], Default::default());
    let mut relied = 0;
    for tick in 0..6000u64 {
        let now = Time(10_000_000 + tick * 20_000);
        match dice.below(60) {
            0 => open[0] = !open[0],
            1 => open[1] = !open[1],
            2 => open = [true; 2],
            3 => sides[dice.below(2) as usize].ordered = 1 + dice.below(5) as u32,
            4 => sides.iter_mut().for_each(|side| side.ordered = 1),
            5 if dice.below(4) == 0 => {
                // A crash and a boot: it owns nothing, and what it waits for begins now.
                let me = dice.below(2) as usize;
                let kept = if remembers { sides[me].kept } else { 1 };
                let life = sides[me].life + 1;
                sides[me] = Side { contact: start(me, life, kept, now), life, kept, ordered: 1 };
            }
            _ => {}
        }
        for me in 0..2 {
            let side = &mut sides[me];
            side.contact.set_ratio(now, side.ordered, side.ordered.min(side.kept));
            // Written at some time.
            if dice.below(10) == 0 {
                side.kept = side.ordered.max(side.contact.ratio_to_keep());
            }
            if (tick + me as u64 * 2).is_multiple_of(5) {
                let frame = side.contact.frame(now, Mode::Running, Epoch::default(), Epoch::default(), 0, &[0, 0], 1);
                if open[me] {
                    waiting[1 - me].push((tick + dice.below(4), frame));
                }
            }
        }
        for to in 0..2 {
            let (due, later): (Vec<_>, Vec<_>) = waiting[to].drain(..).partition(|(at, _)| *at <= tick);
            waiting[to] = later;
            for (_, frame) in due {
                sides[to].contact.hear(now, ServerId::at(1 - to), 0, true, &frame, false);
            }
        }
        for me in 0..2 {
            let (mine, other) = (&sides[me].contact, &sides[1 - me].contact);
            // Its other side is silent, so that no verdict covers it: the right comes from acknowledgements alone.
            if mine.right(now, &partition).is_err() || sides[1 - me].contact.peer(ServerId::at(me)).incarnation > sides[me].life {
                continue;
            }
            let silent = now.since(other.peer(ServerId::at(me)).sign);
            let patience = TIMING.timeout * other.ratio_towards(ServerId::at(me));
            if silent >= TIMING.timeout {
                relied += 1;
            }
            if silent >= patience {
                return Err(format!(
                    "seed {seed}, tick {tick}: server {me} has its right, the other gave it up after {silent:?}"
                ));
            }
        }
    }
    Ok(relied)
}

// S-CMD-TORATIO-SET: a longer time-out is relied upon by nobody whom the others do not grant it.
#[test]
fn who_has_its_right_by_acknowledgement_is_never_given_up_by_the_other() {
    let relied: u32 = (0..400).map(|seed| run(seed, true).unwrap_or_else(|words| panic!("{words}"))).sum();
    assert!(relied > 1000, "the ratio was relied upon {relied} times only");
}

#[test]
fn a_restart_that_forgot_the_ratio_would_be_found() {
    assert!((0..400).any(|seed| run(seed, false).is_err()), "the test above looks at nothing");
}
