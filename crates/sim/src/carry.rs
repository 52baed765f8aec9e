//! How frames travel: over each LAN to each server, and through the slots of shared disks. Cables stand in `network.rs`.

use std::rc::Rc;

use clp_core::event::Event;
use clp_core::ids::ServerId;
use clp_core::message::Frame;

use crate::world::{Happening, World};

impl World {
    pub(crate) fn beat(&mut self, host: usize, mut frame: Frame) {
        self.check_frame(host, &frame);
        self.distort_sent(host, &mut frame);
        let frame = Rc::new(frame);
        for path in 0..self.network.paths() {
            if !self.network.is_lan(path) {
                let delay = 100 + self.rng.below(self.interval() / 10);
                self.after(delay, Happening::DiskWrite { host, path, frame: frame.clone() });
                continue;
            }
            for to in (0..self.hosts.len()).filter(|to| *to != host) {
                if !self.network.passes(path, host, to) {
                    continue;
                }
                for delay in self.network.arrivals(&mut self.rng) {
                    self.after(delay, Happening::Frame { to, from: host, path, frame: frame.clone() });
                }
            }
        }
    }

    pub(crate) fn disk_read(&mut self, host: usize, life: u64, path: usize) {
        if !self.alive(host, life) {
            return;
        }
        self.after(self.interval(), Happening::DiskRead { host, life, path });
        if !self.network.passes(path, host, host) {
            return;
        }
        for from in (0..self.hosts.len()).filter(|from| *from != host) {
            let Some(slot) = self.slots[path][from].clone() else { continue };
            if (life, slot.serial) > self.hosts[host].slots_read[from] {
                // What lay there before this engine started is no sign of life: the reader waits for a change.
                let (read_life, _) = self.hosts[host].slots_read[from];
                self.hosts[host].slots_read[from] = (life, slot.serial);
                if read_life == life && self.hosts[host].engine.is_some() {
                    let mut frame = slot.frame;
                    if self.distort_frame(host, from, false, &mut frame) {
                        self.handle(host, Event::Frame { from: ServerId::at(from), path, lan: false, frame });
                    }
                }
            }
        }
    }
}
