//! How frames travel: over each LAN to each server, and to the slots of shared disks. Cables stand in `network.rs`, disks in
//! `slots.rs`.

use std::rc::Rc;

use clp_core::message::Frame;

use crate::world::{Happening, World};

impl World {
    pub(crate) fn beat(&mut self, host: usize, mut frame: Frame) {
        self.check_frame(host, &frame);
        self.distort_sent(host, &mut frame);
        let frame = Rc::new(frame);
        for path in 0..self.network.paths() {
            if !self.network.is_lan(path) {
                let delay = 100 + self.below(host, self.interval() / 10);
                self.after(delay, Happening::DiskWrite { host, path, frame: frame.clone() });
                continue;
            }
            for to in (0..self.hosts.len()).filter(|to| *to != host) {
                if !self.network.passes(path, host, to) {
                    continue;
                }
                for delay in self.arrivals(host, to) {
                    self.after(delay, Happening::Frame { to, from: host, path, frame: frame.clone() });
                }
            }
        }
    }
}
