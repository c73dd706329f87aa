//! The verbs, one file each.

pub(crate) mod bisect;
pub(crate) mod build;
pub(crate) mod calibrate;
pub(crate) mod completions;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod gc;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod lock;
pub(crate) mod plan;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod sign;
pub(crate) mod validate;
pub(crate) mod verify;
