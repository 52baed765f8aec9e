//! What would happen if a server, a path or a disk were lost now: the core of every server is gone on from the present in a small world
//! with its own clock, the fault happens there, and where each group runs is read when all is quiet. There is no second model.
//!
//! Fence: pure. The world is deterministic and loses nothing; `sim` is the world of random faults and checkers. What a picture of
//! the present cannot show is taken for granted and said ([`world::World::notes`]). Start at `world.rs`.

mod act;
pub mod answer;
pub mod around;
pub mod fault;
pub mod world;

pub use answer::{Answer, Fate, To};
pub use around::Surroundings;
pub use fault::Fault;
pub use world::{CannotAsk, World};
