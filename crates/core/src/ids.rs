//! Identities inside one configuration: positions in its lists, and sets of servers.

use minicbor::{Decode, Encode};

/// Greatest number of servers of a cluster (guide chapter 1).
pub const SERVERS_MAX: usize = 32;

macro_rules! identity {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
        #[cbor(transparent)]
        pub struct $name(#[n(0)] pub $inner);
        impl $name {
            /// Position in the configuration's list.
            pub fn index(self) -> usize {
                usize::from(self.0)
            }
            /// The identity at a position; the plan's limits make it fit.
            pub fn at(index: usize) -> Self {
                $name(<$inner>::try_from(index).expect("the plan's limits keep positions small"))
            }
        }
    };
}

identity! {
    /// A server, by priority: 0 is the master server.
    ServerId, u8
}
identity! {
    /// A group, by its place in the plan.
    GroupId, u16
}
identity! {
    /// A resource, by its place in the plan.
    ResourceId, u16
}
identity! {
    /// A monitor, by its place in the plan.
    MonitorId, u16
}

/// A set of servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct ServerSet(#[n(0)] pub u32);

impl ServerSet {
    /// The empty set.
    pub const EMPTY: ServerSet = ServerSet(0);

    /// All of the first `count` servers.
    pub fn all(count: usize) -> ServerSet {
        (0..count).map(ServerId::at).collect()
    }

    /// Is the server in the set?
    pub fn has(self, server: ServerId) -> bool {
        server.index() < SERVERS_MAX && self.0 & (1 << server.0) != 0
    }

    /// Put a server in.
    pub fn insert(&mut self, server: ServerId) {
        assert!(server.index() < SERVERS_MAX, "server number beyond the limit");
        self.0 |= 1 << server.0;
    }

    /// Take a server out.
    pub fn remove(&mut self, server: ServerId) {
        if server.index() < SERVERS_MAX {
            self.0 &= !(1 << server.0);
        }
    }

    /// In order of number.
    pub fn iter(self) -> impl Iterator<Item = ServerId> {
        (0..SERVERS_MAX).map(ServerId::at).filter(move |server| self.has(*server))
    }

    /// The lowest number.
    pub fn first(self) -> Option<ServerId> {
        self.iter().next()
    }

    /// Is it empty?
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Servers of this set that are not in the other.
    pub fn minus(self, other: ServerSet) -> ServerSet {
        ServerSet(self.0 & !other.0)
    }
}

impl FromIterator<ServerId> for ServerSet {
    fn from_iter<I: IntoIterator<Item = ServerId>>(servers: I) -> Self {
        let mut set = ServerSet::EMPTY;
        for server in servers {
            set.insert(server);
        }
        set
    }
}
