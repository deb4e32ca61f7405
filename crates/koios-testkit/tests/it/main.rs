//! The testkit itself, judged by clients and programs that are not ours.

mod certificates;
mod client;
mod demo_server;
mod odd_peers;
mod prosys_stand_in;
mod servers;
