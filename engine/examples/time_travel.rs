//! Reading older commits: `cargo run -p engine --example time_travel`.

use std::sync::Arc;

use engine::vfs::MemoryVfs;
use engine::{Error, Options, Result};

fn main() -> Result<()> {
    let db = Options::new()
        .keep_versions(4)
        .vfs(Arc::new(MemoryVfs::default()))
        .open("/history.db")?;
    let prices = db.create_table("prices")?;
    let mut commits = Vec::new();
    for price in ["1.00", "1.10", "1.25", "1.05"] {
        let mut tx = db.begin()?;
        tx.put(prices, b"bread", price.as_bytes())?;
        commits.push((tx.commit()?, price));
    }
    for (commit, price) in &commits {
        let then = db.begin_at(*commit)?.get(prices, b"bread")?;
        assert_eq!(then.as_deref(), Some(price.as_bytes()));
        println!("after commit {commit}: {price}");
    }
    // Keeping one version drops the others: what they were is then an error, not a wrong answer.
    db.gc(1);
    match db.begin_at(commits[0].0) {
        Err(Error::SnapshotTooOld { snapshot }) => println!("commit {snapshot} is too old now"),
        other => println!("unexpected: {other:?}"),
    }
    Ok(())
}
