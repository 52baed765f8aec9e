//! The messages, one entry each, in a file for each matter. To add one: an entry there, a call where the fact is known,
//! `cargo xtask generate`.
//!
//! `name(fields; detail)`: the fields fill `{1}`, `{2}`, … of the text, the detail follows it. Below 900 a text is the event
//! list's own (`tests/list.rs` compares); what the list has no place for goes into the detail. `to` names where it goes when that
//! is not the record and syslog.

use crate::Alert;

macro_rules! detail_name {
    () => {
        None
    };
    ($detail:ident) => {
        Some(stringify!($detail))
    };
}

macro_rules! detail_value {
    () => {
        None
    };
    ($detail:expr) => {
        Some($detail.to_string())
    };
}

macro_rules! destinations {
    () => {
        Destinations::USUAL
    };
    ($to:ident) => {
        Destinations::$to
    };
}

macro_rules! catalogue {
    ($examples:ident: $( $(#[doc = $doc:literal])* $name:ident($($field:ident),* $(; $detail:ident)?) $module:literal $id:literal $level:ident $text:literal, $(to $to:ident,)? meaning $meaning:literal, remedy $remedy:literal; )*) => {
        impl Alert {
            $(
                $(#[doc = $doc])*
                pub fn $name($($field: &str,)* $($detail: &str)?) -> Alert {
                    static ENTRY: Entry = Entry {
                        module: $module,
                        id: $id,
                        level: Level::$level,
                        destinations: destinations!($($to)?),
                        text: $text,
                        detail: detail_name!($($detail)?),
                        meaning: $meaning,
                        remedy: $remedy,
                    };
                    Alert::of(&ENTRY, vec![$($field.to_string()),*], detail_value!($($detail)?))
                }
            )*

            /// One of each of this list.
            pub(crate) fn $examples() -> Vec<Alert> {
                vec![$( Alert::$name($(stringify!($field),)* $(stringify!($detail))?) ),*]
            }
        }
    };
}

mod activation;
mod groups;
mod monitors;
mod orders;
mod proofs;
mod restarts;
mod servers;
mod service;

impl Alert {
    /// One of each, its fields named after themselves: for the manual and the catalogue's own tests.
    pub fn examples() -> Vec<Alert> {
        let lists = [
            Alert::examples_of_service(),
            Alert::examples_of_servers(),
            Alert::examples_of_activation(),
            Alert::examples_of_groups(),
            Alert::examples_of_monitors(),
            Alert::examples_of_orders(),
            Alert::examples_of_proofs(),
            Alert::examples_of_restarts(),
        ];
        lists.concat()
    }
}
