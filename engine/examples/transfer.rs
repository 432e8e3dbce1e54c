//! Money moves between accounts on several threads and none is lost: `cargo run -p engine --example transfer`.

use std::sync::Arc;

use engine::vfs::MemoryVfs;
use engine::{Database, Error, IsolationLevel, Options, Result, Table, TxOptions};

const ACCOUNTS: u32 = 10;

fn balance(bytes: Option<Vec<u8>>) -> i64 {
    bytes
        .and_then(|b| b.try_into().ok())
        .map_or(0, i64::from_le_bytes)
}

fn total(db: &Database, accounts: Table) -> Result<i64> {
    db.read(|snapshot| {
        snapshot
            .scan(accounts, ..)?
            .map(|row| Ok(balance(Some(row?.1))))
            .sum()
    })
}

fn main() -> Result<()> {
    let db = Options::new()
        .vfs(Arc::new(MemoryVfs::default()))
        .open("/bank.db")?;
    let accounts = db.create_table("accounts")?;
    db.write(|tx| (0..ACCOUNTS).try_for_each(|n| tx.put(accounts, &n.to_be_bytes(), &100i64.to_le_bytes())))?;
    // Under SNAPSHOT the first of two transactions to change a row wins; `write_with` runs the other one again.
    let options = TxOptions::new().isolation(IsolationLevel::Snapshot);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4u32)
            .map(|thread| {
                let db = &db;
                scope.spawn(move || {
                    (0..200u32).try_for_each(|n| {
                        let from = ((thread + n) % ACCOUNTS).to_be_bytes();
                        let to = ((thread + 3 * n + 1) % ACCOUNTS).to_be_bytes();
                        db.write_with(options, |tx| {
                            let left = balance(tx.get(accounts, &from)?) - 1;
                            tx.put(accounts, &from, &left.to_le_bytes())?;
                            let right = balance(tx.get(accounts, &to)?) + 1;
                            tx.put(accounts, &to, &right.to_le_bytes())
                        })
                    })
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| {
            let poisoned = |_| Error::Poisoned {
                cause: "a thread panicked".into(),
            };
            thread.join().map_err(poisoned)?
        })
    })?;
    let total = total(&db, accounts)?;
    assert_eq!(total, i64::from(ACCOUNTS) * 100);
    println!(
        "total {total}, {} conflicts were tried again",
        db.metrics().conflicts
    );
    Ok(())
}
