//! What a process and its descendants have used, from proc(5).

use std::fs;

/// Clock ticks have 10 ms on every Linux architecture that matters here (`USER_HZ` is 100).
const TICK_MS: f64 = 10.0;

/// The fields of /proc/PID/stat after the name: the state comes first.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

/// The process and its descendants.
fn tree(root: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: Vec<(u32, u32)> = processes.filter_map(|pid| Some((pid, stat(pid)?.get(1)?.parse().ok()?))).collect();
    let mut tree = vec![root];
    let mut at = 0;
    while at < tree.len() {
        let parent = tree[at];
        tree.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    tree
}

/// CPU time of the process tree in milliseconds, with children that have ended.
pub fn cpu_ms(root: u32) -> f64 {
    let ticks = tree(root).into_iter().filter_map(stat).flat_map(|fields| fields.into_iter().skip(11).take(4));
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() * TICK_MS
}

/// Resident memory of the process tree in MiB. Shared pages count in proportion.
pub fn memory_mib(root: u32) -> f64 {
    let texts = tree(root).into_iter().filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok());
    let kib = texts.filter_map(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?.to_owned();
        line.trim().trim_end_matches(" kB").parse::<f64>().ok()
    });
    kib.sum::<f64>() / 1024.0
}

/// Processor and number of cores, for the report.
pub fn machine() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map(|(_, model)| model)
        .collect();
    format!("{} cores, {}", models.len(), models.first().unwrap_or(&"unknown processor"))
}
