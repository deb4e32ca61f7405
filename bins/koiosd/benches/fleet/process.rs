//! What a process has used, as Linux tells it.

use std::fs;

use crate::Result;

/// Ticks of `/proc`'s clock per second: 100 on every Linux (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time so far.
pub(crate) fn cpu_ms(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in brackets, may hold anything; utime and stime are the 12th and 13th fields behind it (proc_pid_stat(5)).
    let fields: Vec<&str> = stat.rsplit_once(')').ok_or("an odd stat")?.1.split_ascii_whitespace().collect();
    let ticks = |field: usize| -> Result<f64> { Ok(fields.get(field).ok_or("an odd stat")?.parse()?) };
    Ok((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND * 1e3)
}

/// Resident memory.
pub(crate) fn rss_kib(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.split_ascii_whitespace().next().ok_or("no VmRSS")?.parse()?)
}
