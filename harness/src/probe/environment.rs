//! The machine and the file system of a run, as the operating system tells. What it does not tell stays `None`.

use std::fs;
use std::path::Path;

use procfs::process::Process;
use reports::record::{Build, Environment, Profile};

/// The machine, and the file system that holds `data_directory` (which must exist).
pub(crate) fn environment(data_directory: &Path) -> Environment {
    let mount = mount_of(data_directory);
    Environment {
        host: read_line("/proc/sys/kernel/hostname"),
        os: os_name(),
        kernel: read_line("/proc/sys/kernel/osrelease").map(|release| format!("Linux {release}")),
        cpu_model: cpu_model(),
        cpu_cores: cpu_cores(),
        memory_bytes: memory_bytes(),
        file_system: mount.as_ref().map(|mount| mount.fs_type.clone()),
        mount_options: mount.as_ref().map(|mount| mount.options.clone()),
        device: mount.and_then(|mount| mount.source),
        cpu_governor: read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
    }
}

/// How this program was built, as far as its build script could tell.
pub(crate) fn build() -> Build {
    Build {
        version: env!("CARGO_PKG_VERSION").into(),
        profile: if cfg!(debug_assertions) {
            Profile::Dev
        } else {
            Profile::Release
        },
        debug_assertions: cfg!(debug_assertions),
        revision: option_env!("PALIMPSEST_BUILD_REVISION").map(str::to_owned),
        dirty: option_env!("PALIMPSEST_BUILD_DIRTY").map(|dirty| dirty == "true"),
        compiler: option_env!("PALIMPSEST_COMPILER").map(str::to_owned),
        target: option_env!("PALIMPSEST_TARGET").map(str::to_owned),
    }
}

/// Logical processors that this process may use.
pub(crate) fn cpu_cores() -> Option<u32> {
    std::thread::available_parallelism()
        .ok()
        .map(|cores| cores.get() as u32)
}

/// Whether a file system of this type keeps its files in memory, so that a flush costs nothing.
pub(crate) fn is_memory_file_system(fs_type: &str) -> bool {
    matches!(fs_type, "tmpfs" | "ramfs" | "devtmpfs")
}

struct Mount {
    fs_type: String,
    options: String,
    source: Option<String>,
}

fn mount_of(directory: &Path) -> Option<Mount> {
    let directory = fs::canonicalize(directory).ok()?;
    let mounts = Process::myself().ok()?.mountinfo().ok()?;
    // The longest mount point above the directory holds it; of equal ones the last mounted hides the others.
    let mount = mounts
        .into_iter()
        .filter(|mount| directory.starts_with(&mount.mount_point))
        .max_by_key(|mount| mount.mount_point.as_os_str().len())?;
    let mut options: Vec<String> = mount
        .mount_options
        .iter()
        .chain(&mount.super_options)
        .map(|(name, value)| {
            value
                .as_ref()
                .map_or_else(|| name.clone(), |value| format!("{name}={value}"))
        })
        .collect();
    options.sort();
    options.dedup();
    Some(Mount {
        fs_type: mount.fs_type,
        options: options.join(","),
        source: mount.mount_source,
    })
}

fn read_line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.lines().next()?.trim().to_owned()).filter(|line| !line.is_empty())
}

fn os_name() -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(line.trim_matches('"').to_owned())
}

fn cpu_model() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

pub(crate) fn memory_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<u64>()
        .ok()
        .map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_tells_kernel_memory_and_file_system() {
        let found = environment(Path::new("."));
        assert!(found.kernel.is_some_and(|kernel| kernel.starts_with("Linux ")));
        assert!(found.memory_bytes.is_some_and(|bytes| bytes > 1 << 20));
        assert!(found.file_system.is_some_and(|name| !name.is_empty()));
    }

    #[test]
    fn the_build_tells_its_compiler_and_target_and_of_a_checkout_its_revision() {
        let build = build();
        assert!(build.compiler.is_some_and(|text| text.starts_with("rustc ")));
        assert!(
            build
                .target
                .is_some_and(|text| text.contains(std::env::consts::ARCH))
        );
        // A tarball knows neither, and who packages it may tell the first alone.
        assert!(build.revision.is_some() || build.dirty.is_none());
        if let (Some(revision), Some(_)) = (build.revision, build.dirty) {
            assert!(
                revision.len() >= 40 && revision.chars().all(|c| c.is_ascii_hexdigit()),
                "{revision}"
            );
        }
    }

    #[test]
    fn a_missing_directory_has_no_file_system() {
        assert_eq!(environment(Path::new("/nonexistent/here")).file_system, None);
    }
}
