//! What can be lost.

use clp_core::ids::{ServerId, ServerSet};

use crate::around::Surroundings;

/// One loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The power of a server.
    Server(ServerId),
    /// A heartbeat path, between this server and all others.
    Path(ServerId, usize),
    /// A shared disk, for this server: it answers with errors.
    Disk(ServerId, usize),
}

impl Fault {
    /// Where it happens.
    pub fn server(self) -> ServerId {
        match self {
            Fault::Server(server) | Fault::Path(server, _) | Fault::Disk(server, _) => server,
        }
    }

    /// Every single loss that these servers can suffer: servers, then paths, then disks.
    pub fn singles(around: &Surroundings, servers: ServerSet) -> Vec<Fault> {
        let paths = around.paths.iter().enumerate().flat_map(|(path, place)| {
            // What lies on a shared disk goes with the disk, and with the path alone as well: the partition may be lost.
            place.servers.iter().map(move |server| Fault::Path(server, path))
        });
        let disks = around.disks.iter().enumerate();
        let disks = disks.flat_map(|(disk, place)| place.servers.iter().map(move |server| Fault::Disk(server, disk)));
        servers.iter().map(Fault::Server).chain(paths).chain(disks).filter(|fault| servers.has(fault.server())).collect()
    }

    /// Every pair of two losses. What a server without power loses besides is no second loss.
    pub fn doubles(singles: &[Fault]) -> Vec<[Fault; 2]> {
        let mut pairs = Vec::new();
        for (place, first) in singles.iter().enumerate() {
            for second in &singles[place + 1..] {
                let dark = matches!(first, Fault::Server(_)) || matches!(second, Fault::Server(_));
                if !(dark && first.server() == second.server()) {
                    pairs.push([*first, *second]);
                }
            }
        }
        pairs
    }
}
