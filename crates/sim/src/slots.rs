//! Disks in the world: the slots that servers share, half-written and old ones included, and each server's own disk. What is
//! handed on of a slot follows `drivers/src/heartbeats/diskhb.rs`.

use std::collections::VecDeque;
use std::rc::Rc;

use clp_core::event::Event;
use clp_core::ids::ServerId;
use clp_core::message::Frame;

use crate::fault::What;
use crate::host::{SLOT_HISTORY, Slot};
use crate::options::Options;
use crate::world::{Happening, World};

/// Shortest time for which what is new in a slot counts as written since the last look (as the driver has it).
const LOOK_MIN: u64 = 200_000;

/// The slots of the shared disks: by path and server, the newest last.
#[derive(Debug)]
pub struct Slots {
    written: Vec<Vec<VecDeque<Slot>>>,
    serial: u64,
}

impl Slots {
    /// Nobody has written.
    pub fn new(options: &Options) -> Self {
        Slots { written: vec![vec![VecDeque::new(); options.plan.servers.len()]; options.lan.len()], serial: 0 }
    }

    fn put(&mut self, path: usize, server: usize, frame: Option<Rc<Frame>>) {
        self.serial += 1;
        let slot = &mut self.written[path][server];
        slot.push_back(Slot { serial: self.serial, frame });
        if slot.len() > SLOT_HISTORY + 1 {
            slot.pop_front();
        }
    }

    /// What a disk holds, or held some writes ago.
    pub fn look(&self, path: usize, older: usize) -> Vec<Option<Slot>> {
        self.written[path].iter().map(|slot| slot.len().checked_sub(older + 1).and_then(|at| slot.get(at)).cloned()).collect()
    }
}

impl World {
    pub(crate) fn disk_write(&mut self, host: usize, path: usize, frame: Rc<Frame>) {
        if self.network.reaches_disk(path, host) {
            let torn = self.befalls(host, |what| matches!(what, What::TornSlots { path: at } if *at == path)).is_some();
            self.slots.put(path, host, (!torn).then_some(frame));
        }
    }

    /// The power fails in the middle of a write.
    pub(crate) fn tear_slots(&mut self, host: usize, fault: usize) {
        for path in (0..self.network.paths()).filter(|path| !self.network.is_lan(*path)).collect::<Vec<_>>() {
            if self.network.reaches_disk(path, host) {
                self.slots.put(path, host, None);
                self.took_effect(fault);
            }
        }
    }

    /// Reads give what is on the disk now, or was some writes ago, until the fault ends.
    pub(crate) fn freeze_slots(&mut self, fault: usize, path: usize, older: usize) {
        self.stale.push((fault, self.slots.look(path, older)));
    }

    pub(crate) fn disk_read(&mut self, host: usize, life: u64, path: usize) {
        if !self.alive(host, life) {
            return;
        }
        self.after(self.interval(), Happening::DiskRead { host, life, path });
        if !self.network.reaches_disk(path, host) {
            self.hosts[host].looks[path].at = None;
            return;
        }
        let mut read = self.slots.look(path, 0);
        if let Some(fault) = self.befalls(host, |what| matches!(what, What::StaleSlots { path: at, .. } if *at == path))
            && let Some((_, old)) = self.stale.iter().find(|(of, _)| *of == fault)
        {
            let serial = |slot: &Option<Slot>| slot.as_ref().map(|slot| slot.serial);
            let differs = read.iter().zip(old).enumerate().any(|(at, (new, old))| at != host && serial(new) != serial(old));
            read = old.clone();
            if differs {
                self.took_effect(fault);
            }
        }
        // What lay there before this engine looked is no sign of life: the reader waits for a change.
        let gap = (self.interval() * 2).max(LOOK_MIN);
        let watched = self.hosts[host].looks[path].at.is_some_and(|at| self.now - at <= gap);
        self.hosts[host].looks[path].at = Some(self.now);
        for (from, slot) in read.into_iter().enumerate().filter(|(from, _)| *from != host) {
            let Some(slot) = slot else { continue };
            let Some(frame) = slot.frame else {
                let torn = self.befalls(from, |what| matches!(what, What::TornSlots { path: at } if *at == path));
                if let Some(fault) = torn {
                    self.took_effect(fault);
                }
                continue;
            };
            let seen = &mut self.hosts[host].looks[path].seen[from];
            let is_new = seen.replace(slot.serial) != Some(slot.serial);
            if is_new && watched && self.alive(host, life) {
                let mut frame = (*frame).clone();
                if self.distort_frame(host, from, false, &mut frame) {
                    self.handle(host, Event::Frame { from: ServerId::at(from), path, lan: false, frame });
                }
            }
        }
    }

    /// Can the server's own disk take something new? The fault that forbids it took effect.
    fn has_room(&mut self, host: usize) -> bool {
        let full = self.befalls(host, |what| matches!(what, What::DiskFull));
        if let Some(fault) = full {
            self.took_effect(fault);
            self.say(|| format!("s{host} cannot write: its disk is full"));
        }
        full.is_none()
    }

    /// A mark of the suspension is made or removed; a full disk forbids the making alone.
    pub(crate) fn remember(&mut self, host: usize, suspended: bool) {
        if !suspended || self.hosts[host].suspended || self.has_room(host) {
            self.hosts[host].suspended = suspended;
        }
    }

    pub(crate) fn keep_ratio(&mut self, host: usize, ratio: u32) {
        let result = if self.has_room(host) { Ok(()) } else { Err("the disk is full".to_string()) };
        if result.is_ok() {
            self.hosts[host].ratio = ratio;
        }
        self.handle(host, Event::RatioKept { ratio, result });
    }

    /// True when it is on the disk.
    pub(crate) fn remember_reboots(&mut self, host: usize, count: u32) -> bool {
        let kept = count == 0 || self.has_room(host);
        if kept {
            self.hosts[host].reboots = count;
        }
        kept
    }
}
