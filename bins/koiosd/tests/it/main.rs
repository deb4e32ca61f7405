//! The daemon as a whole: the real binary, real HTTP, a data directory of its own for every test.

mod assignments;
mod bad_bodies;
mod bad_input;
mod bad_input_devices;
mod certificates;
mod conventions;
mod csr;
mod daemon;
mod deprecated_policies;
mod device_import;
mod device_passwords;
mod device_test;
mod devices;
mod downloads;
mod generation_options;
mod http;
mod lifecycle;
mod openapi;
mod regeneration;
mod story;
mod supervision;
mod test_command;
mod tokens;
mod trust_guides;
mod trust_lists;
mod uploads;
