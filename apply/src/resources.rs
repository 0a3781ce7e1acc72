//! What there is: memory and disk space.

use std::fs;
use std::path::{Path, PathBuf};

/// Bytes of memory that this process may still use: what the machine has available, within its control groups. None
/// where nothing tells.
pub fn available_memory() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| available(&text));
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let group = group_memory(Path::new("/sys/fs/cgroup"), own, UNIFIED);
    let own =
        groups.lines().find_map(|line| line.split_once(":memory:")).map_or("/", |(_, own)| own);
    let legacy = group_memory(Path::new("/sys/fs/cgroup/memory"), own, LEGACY);
    machine.into_iter().chain(group).chain(legacy).min()
}

/// Names of a control group's files: its limit, its use, and what of its use is page cache that can go.
type Names = [&'static str; 3];
/// Control groups of version 2.
const UNIFIED: Names = ["memory.max", "memory.current", "inactive_file "];
/// Control groups of version 1, of memory alone.
const LEGACY: Names = ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "];

/// `MemAvailable` of /proc/meminfo, in bytes.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// What the control group and those above it leave: limit less use, page cache that can go not counted as use.
fn group_memory(root: &Path, own: &str, [limit, used, cache]: Names) -> Option<u64> {
    let mut least = None;
    let mut directory = PathBuf::from(own.trim_start_matches('/'));
    loop {
        let at = root.join(&directory);
        let read = |name: &str| fs::read_to_string(at.join(name)).ok();
        let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
        if let (Some(limit), Some(used)) = (number(limit), number(used)) {
            let stat = read("memory.stat").unwrap_or_default();
            let cache = stat.lines().find_map(|line| line.strip_prefix(cache));
            let cache: u64 = cache.and_then(|text| text.parse().ok()).unwrap_or(0);
            let left = limit.saturating_sub(used.saturating_sub(cache));
            least = Some(least.map_or(left, |least: u64| least.min(left)));
        }
        if !directory.pop() {
            return least;
        }
    }
}

/// Bytes free for this user on the disk of a path, or of the nearest directory above it that exists.
pub fn free_space(path: &Path) -> Option<u64> {
    let path = std::path::absolute(path).ok()?;
    let there = path.ancestors().find(|path| path.exists())?;
    let space = rustix::fs::statvfs(there).ok()?;
    Some(space.f_bavail.saturating_mul(space.f_frsize))
}

/// Whether two paths lie on the same disk.
pub fn same_disk(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| {
        let path = std::path::absolute(path).ok()?;
        let there = path.ancestors().find(|path| path.exists())?;
        Some(fs::metadata(there).ok()?.dev())
    };
    device(a).is_some() && device(a) == device(b)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_says() {
        let text = "MemTotal:       8000000 kB\nMemAvailable:    1024 kB\n";
        assert_eq!(available(text), Some(1 << 20));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
        assert!(free_space(Path::new("/no/such/directory")).is_some());
        assert!(same_disk(Path::new("/proc"), Path::new("/proc/self")));
    }

    #[test]
    fn the_tightest_group_counts() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("memory.max"), "max\n").unwrap();
        fs::write(inner.join("memory.current"), "5\n").unwrap();
        let outer = root.path().join("a");
        fs::write(outer.join("memory.max"), "100\n").unwrap();
        fs::write(outer.join("memory.current"), "60\n").unwrap();
        fs::write(outer.join("memory.stat"), "anon 20\ninactive_file 30\n").unwrap();
        assert_eq!(group_memory(root.path(), "/a/b", UNIFIED), Some(70));
        assert_eq!(group_memory(root.path(), "/", UNIFIED), None);
        fs::write(outer.join("memory.limit_in_bytes"), "50\n").unwrap();
        fs::write(outer.join("memory.usage_in_bytes"), "20\n").unwrap();
        fs::write(outer.join("memory.stat"), "inactive_file 1\ntotal_inactive_file 5\n").unwrap();
        assert_eq!(group_memory(root.path(), "/a/b", LEGACY), Some(35));
    }
}
