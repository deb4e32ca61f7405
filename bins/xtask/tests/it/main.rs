//! What holds for the whole repository rather than for one crate.

mod dependency_edges;
mod named_tests;
mod quotes;
mod repository;
