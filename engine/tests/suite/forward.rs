//! File systems of tests change one thing or two of another one, and leave the rest to it.

/// Methods of `Vfs` or `VfsFile` that do what those of a field do.
macro_rules! forward {
    ($inner:ident: $first:ident, $($rest:ident),+) => {
        crate::forward::forward!($inner: $first);
        crate::forward::forward!($inner: $($rest),+);
    };
    ($inner:ident: open) => {
        fn open(
            &self,
            path: &std::path::Path,
            mode: engine::vfs::OpenMode,
        ) -> std::io::Result<std::sync::Arc<dyn engine::vfs::VfsFile>> {
            self.$inner.open(path, mode)
        }
    };
    ($inner:ident: remove) => {
        fn remove(&self, path: &std::path::Path) -> std::io::Result<()> {
            self.$inner.remove(path)
        }
    };
    ($inner:ident: rename) => {
        fn rename(&self, from: &std::path::Path, to: &std::path::Path) -> std::io::Result<()> {
            self.$inner.rename(from, to)
        }
    };
    ($inner:ident: exists) => {
        fn exists(&self, path: &std::path::Path) -> std::io::Result<bool> {
            self.$inner.exists(path)
        }
    };
    ($inner:ident: list) => {
        fn list(&self, dir: &std::path::Path) -> std::io::Result<Vec<std::path::PathBuf>> {
            self.$inner.list(dir)
        }
    };
    ($inner:ident: create_dir) => {
        fn create_dir(&self, dir: &std::path::Path) -> std::io::Result<()> {
            self.$inner.create_dir(dir)
        }
    };
    ($inner:ident: sync_dir) => {
        fn sync_dir(&self, dir: &std::path::Path) -> std::io::Result<()> {
            self.$inner.sync_dir(dir)
        }
    };
    ($inner:ident: open_dir) => {
        fn open_dir(&self, dir: &std::path::Path) -> std::io::Result<std::sync::Arc<dyn engine::vfs::VfsFile>> {
            self.$inner.open_dir(dir)
        }
    };
    ($inner:ident: identity_of) => {
        fn identity(&self, path: &std::path::Path) -> std::io::Result<engine::vfs::FileId> {
            self.$inner.identity(path)
        }
    };
    ($inner:ident: wall_clock) => {
        fn wall_clock(&self) -> std::time::SystemTime {
            self.$inner.wall_clock()
        }
    };
    ($inner:ident: monotonic) => {
        fn monotonic(&self) -> std::time::Duration {
            self.$inner.monotonic()
        }
    };
    ($inner:ident: random) => {
        fn random(&self) -> u64 {
            self.$inner.random()
        }
    };
    ($inner:ident: read_at) => {
        fn read_at(&self, buf: &mut [u8], offset: u64) -> std::io::Result<usize> {
            self.$inner.read_at(buf, offset)
        }
    };
    ($inner:ident: write_at) => {
        fn write_at(&self, buf: &[u8], offset: u64) -> std::io::Result<()> {
            self.$inner.write_at(buf, offset)
        }
    };
    ($inner:ident: len) => {
        fn len(&self) -> std::io::Result<u64> {
            self.$inner.len()
        }
    };
    ($inner:ident: set_len) => {
        fn set_len(&self, len: u64) -> std::io::Result<()> {
            self.$inner.set_len(len)
        }
    };
    ($inner:ident: sync_data) => {
        fn sync_data(&self) -> std::io::Result<()> {
            self.$inner.sync_data()
        }
    };
    ($inner:ident: sync_all) => {
        fn sync_all(&self) -> std::io::Result<()> {
            self.$inner.sync_all()
        }
    };
    ($inner:ident: try_lock) => {
        fn try_lock(&self) -> std::io::Result<bool> {
            self.$inner.try_lock()
        }
    };
    ($inner:ident: identity) => {
        fn identity(&self) -> std::io::Result<engine::vfs::FileId> {
            self.$inner.identity()
        }
    };
}
pub(crate) use forward;
