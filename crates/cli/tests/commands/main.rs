//! Tests of the built commands. They need root, as the commands do; without it they say `skipped:`.

mod pipelines;
mod requests;
mod stand_in;
