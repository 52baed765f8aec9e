//! Parameters: one declaration gives the typed field, the table entry, reading, range check and help.
//!
//! Units are types; conversion to `Duration` happens once, here.

use std::time::Duration;

use crate::document::Element;
use crate::problem::Problem;

/// What must be suspended or stopped for a change to take effect, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Apply {
    /// Upload is enough.
    UploadOnly,
    /// The WebManager must be restarted.
    RestartManager,
    /// The monitor must be suspended.
    SuspendMonitor,
    /// The cluster must be suspended.
    SuspendCluster,
    /// The group must be stopped.
    StopGroup,
    /// The cluster must be stopped.
    StopCluster,
}

impl Apply {
    /// The class in a few words.
    pub fn class(self) -> &'static str {
        match self {
            Apply::UploadOnly => "upload only",
            Apply::RestartManager => "restart the WebManager",
            Apply::SuspendMonitor => "suspend the monitor",
            Apply::SuspendCluster => "suspend the cluster",
            Apply::StopGroup => "stop the group",
            Apply::StopCluster => "stop the cluster",
        }
    }

    /// What the administrator does first.
    pub fn words(self) -> &'static str {
        match self {
            Apply::UploadOnly => "upload only",
            Apply::RestartManager => "restart the WebManager after the upload",
            Apply::SuspendMonitor => "suspend the monitor before the upload",
            Apply::SuspendCluster => "suspend the cluster before the upload (clpcl --suspend)",
            Apply::StopGroup => "stop the group before the upload (clpgrp -t)",
            Apply::StopCluster => "stop the cluster before the upload (clpcl -t -a)",
        }
    }
}

/// One declared parameter.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// Field name.
    pub name: &'static str,
    /// Path below the section's element.
    pub path: &'static str,
    /// As it would be written.
    pub default: &'static str,
    /// Smallest value (length of text).
    pub min: u64,
    /// Greatest value (length of text).
    pub max: u64,
    /// Unit in words.
    pub unit: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Apply class.
    pub apply: Apply,
}

/// The unit of what is never shown.
const SECRET: &str = "secret text";
/// What is shown in its place.
const HIDDEN: &str = "(hidden)";

impl Param {
    /// The value as it may be shown: a secret only as there or not.
    pub fn shown<'a>(&self, value: &'a str) -> &'a str {
        if self.unit == SECRET && !value.is_empty() { HIDDEN } else { value }
    }
}

/// A unit: how a text becomes a value.
pub trait Unit {
    /// The value in force.
    type Value;
    /// In words.
    const WORD: &'static str;
    /// Read a trimmed text; the error says what is wrong with it.
    fn read(text: &str, param: &Param) -> Result<Self::Value, String>;
}

fn number(text: &str, param: &Param) -> Result<u64, String> {
    let value: u64 = text.parse().map_err(|_| format!("{text:?} is not a whole number"))?;
    if value < param.min || value > param.max {
        return Err(format!("{value} is outside {} to {}", param.min, param.max));
    }
    Ok(value)
}

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident, $value:ty, $word:literal, $from:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name;
        impl Unit for $name {
            type Value = $value;
            const WORD: &'static str = $word;
            fn read(text: &str, param: &Param) -> Result<$value, String> {
                let convert: fn(u64) -> $value = $from;
                number(text, param).map(convert)
            }
        }
    };
}

unit! {
    /// Whole seconds.
    Seconds, Duration, "seconds", Duration::from_secs
}
unit! {
    /// Whole milliseconds.
    Millis, Duration, "milliseconds", Duration::from_millis
}
unit! {
    /// Whole minutes.
    Minutes, Duration, "minutes", |minutes| Duration::from_secs(minutes * 60)
}
unit! {
    /// A number of things.
    Count, u32, "", |value| u32::try_from(value).unwrap_or(u32::MAX)
}
unit! {
    /// A number with a meaning of its own.
    Code, u32, "code", |value| u32::try_from(value).unwrap_or(u32::MAX)
}
unit! {
    /// Hundredths of a whole.
    Percent, u32, "percent", |value| u32::try_from(value).unwrap_or(u32::MAX)
}
unit! {
    /// A port.
    Port, u16, "port", |value| u16::try_from(value).unwrap_or(u16::MAX)
}
unit! {
    /// 0 or 1.
    Flag, bool, "0 or 1", |value| value != 0
}

/// Text.
#[derive(Debug, Clone, Copy)]
pub struct Text;
impl Unit for Text {
    type Value = String;
    const WORD: &'static str = "text";
    fn read(text: &str, param: &Param) -> Result<String, String> {
        let length = text.chars().count() as u64;
        if length > param.max {
            return Err(format!("it is {length} characters long, at most {} are possible", param.max));
        }
        Ok(text.to_string())
    }
}

/// Text that is never shown.
#[derive(Debug, Clone, Copy)]
pub struct Secret;
impl Unit for Secret {
    type Value = String;
    const WORD: &'static str = SECRET;
    fn read(text: &str, param: &Param) -> Result<String, String> {
        Text::read(text, param)
    }
}

/// A set of exit codes: numbers and ranges with commas between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codes(Vec<(u32, u32)>);

impl Codes {
    /// Is the code one of them?
    pub fn has(&self, code: i32) -> bool {
        u32::try_from(code).is_ok_and(|code| self.0.iter().any(|(first, last)| (*first..=*last).contains(&code)))
    }
}

/// Exit codes such as `0,2,10-19`.
#[derive(Debug, Clone, Copy)]
pub struct ExitCodes;
impl Unit for ExitCodes {
    type Value = Codes;
    const WORD: &'static str = "exit codes";
    fn read(text: &str, param: &Param) -> Result<Codes, String> {
        let code = |text: &str| number(text.trim(), param).map(|value| u32::try_from(value).unwrap_or(u32::MAX));
        let range = |text: &str| match text.split_once('-') {
            Some((first, last)) => Ok((code(first)?, code(last)?)),
            None => code(text).map(|code| (code, code)),
        };
        let ranges = text.split(',').map(range).collect::<Result<Vec<_>, String>>()?;
        match ranges.iter().find(|(first, last)| first > last) {
            Some((first, last)) => Err(format!("{first}-{last} is no range")),
            None => Ok(Codes(ranges)),
        }
    }
}

/// Read one parameter of an element: absent or empty means the default (the file is sparse).
pub fn read<U: Unit>(
    element: &Element,
    param: &Param,
    at: &str,
    defaults: &[(&str, &str)],
    problems: &mut Vec<Problem>,
) -> U::Value {
    let default = defaults.iter().find(|(path, _)| *path == param.path).map_or(param.default, |(_, value)| value);
    let written = element.text_at(param.path).filter(|text| !text.is_empty());
    let result = U::read(written.as_deref().unwrap_or(default), param);
    result.unwrap_or_else(|what| {
        let remedy = format!("{} (default {default})", param.help);
        problems.push(Problem::new(format!("{at}/{}", param.path), what, remedy));
        U::read(default, param).expect("defaults lie in their ranges, a test checks it")
    })
}

/// Declare a section: a struct of values in force and a table of its parameters.
#[macro_export]
macro_rules! section {
    (
        $(#[$meta:meta])*
        pub struct $section:ident {
            $( #[doc = $help:literal] $field:ident : $unit:ty, path $path:literal, default $default:literal, range $min:literal ..= $max:literal, apply $apply:ident ; )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $section {
            $( #[doc = $help] pub $field: <$unit as $crate::value::Unit>::Value, )*
        }

        impl $section {
            /// Every parameter of the section.
            pub const PARAMS: &'static [$crate::value::Param] = &[
                $( $crate::value::Param {
                    name: stringify!($field),
                    path: $path,
                    default: $default,
                    min: $min,
                    max: $max,
                    unit: <$unit as $crate::value::Unit>::WORD,
                    help: $help.trim_ascii_start(),
                    apply: $crate::value::Apply::$apply,
                }, )*
            ];

            /// Values in force; what cannot be read is a problem and stands at its default.
            pub fn read(
                element: &$crate::document::Element,
                at: &str,
                defaults: &[(&str, &str)],
                problems: &mut Vec<$crate::problem::Problem>,
            ) -> Self {
                let mut params = Self::PARAMS.iter();
                $section {
                    $( $field: $crate::value::read::<$unit>(
                        element,
                        params.next().expect("one entry a field"),
                        at,
                        defaults,
                        problems,
                    ), )*
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::monitors::genw::Genw;

    #[test]
    fn exit_codes_are_numbers_and_ranges() {
        let param = Genw::PARAMS.iter().find(|param| param.path == "parameters/normalval").expect("declared");
        let codes = |text: &str| ExitCodes::read(text, param);
        let mixed = codes("0, 2,10-19").expect("valid");
        let taken: Vec<i32> = (-1..=256).filter(|code| mixed.has(*code)).collect();
        assert_eq!(taken, [0, 2].into_iter().chain(10..=19).collect::<Vec<_>>());
        for wrong in ["", "0,", "1-", "-1", "3-2", "256", "0-256", "ok", "1;2"] {
            codes(wrong).expect_err(wrong);
        }
    }
}
