//! The testkit itself, judged by clients and programs that are not ours.

mod certificates;
mod client;
mod odd_peers;
mod servers;
