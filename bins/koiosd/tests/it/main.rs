//! The daemon as a whole: the real binary, real HTTP, a data directory of its own for every test.

mod bad_input;
mod certificates;
mod conventions;
mod daemon;
mod downloads;
mod http;
mod lifecycle;
mod openapi;
mod regeneration;
mod tokens;
mod uploads;
