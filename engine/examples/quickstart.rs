//! Open, write, read, scan: `cargo run -p engine --example quickstart`.

use engine::{Database, Result};

fn main() -> Result<()> {
    let dir = std::env::temp_dir().join(format!("palimpsest-quickstart-{}", std::process::id()));
    std::fs::create_dir_all(&dir).map_err(|e| engine::Error::io("create", &dir, e))?;
    let db = Database::open(dir.join("shop.db"))?;
    let stock = db.open_or_create("stock")?;
    db.write(|tx| {
        for (name, count) in [("apples", "12"), ("pears", "3"), ("plums", "40")] {
            tx.put(stock, name.as_bytes(), count.as_bytes())?;
        }
        Ok(())
    })?;
    db.read(|snapshot| {
        let mut rows = snapshot.scan(stock, "b"..)?;
        while let Some((name, count)) = rows.next_row()? {
            println!("{}: {}", name.escape_ascii(), count.escape_ascii());
        }
        Ok(())
    })?;
    let info = db.storage_info();
    println!("{} pages in use, {} bytes of log", info.used_pages, info.wal_size);
    db.close()?;
    std::fs::remove_dir_all(&dir).map_err(|e| engine::Error::io("remove", &dir, e))
}
