//! How much memory a process took.

/// The most memory that a process had so far, in bytes: `process` is its
/// number, or `self`. `None` where the system does not tell, which is anywhere
/// but on Linux, and of a process that is gone.
pub fn peak_memory(process: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes << 10)
}
