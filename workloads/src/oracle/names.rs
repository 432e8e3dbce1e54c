//! Names of rows for people: the table by name, the key as the engine sees it, and the number of the row beside it.

use crate::stream::Plan;
use crate::version::RowRef;

/// A row as somebody finds it in the database: `table users, key \`user42\` (row 42)`. A value of another specification may name
/// a table that there is not; its number is all that is known.
pub(super) fn row_words(plan: &Plan, row: RowRef) -> String {
    let Some(table) = plan.tables().get(row.table().index()) else {
        return format!(
            "row {} of a table {} that there is not",
            row.row(),
            row.table().index()
        );
    };
    let mut key = Vec::new();
    table.key(row.row(), &mut key);
    format!("table {}, key {} (row {})", table.name, show(&key), row.row())
}

/// A key: as text if it is printable, else in hexadecimal; shortened.
pub(super) fn show(key: &[u8]) -> String {
    let part = &key[..key.len().min(32)];
    let text = match std::str::from_utf8(part) {
        Ok(text) if !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic()) => format!("`{text}`"),
        _ => format!(
            "0x{}",
            part.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        ),
    };
    if part.len() < key.len() {
        format!("{text}... ({} bytes)", key.len())
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::TableRef;
    use crate::oracle::violation::{ViolationKind, Violations};
    use crate::spec::builtin;
    use crate::values::ValueFault;

    #[test]
    fn a_row_has_the_name_of_its_table_and_the_bytes_of_its_key() {
        let integers = Plan::new(builtin("oltp").unwrap());
        let row = RowRef::new(TableRef(0), 258);
        let name = integers.table(TableRef(0)).name.clone();
        assert_eq!(
            row_words(&integers, row),
            format!("table {name}, key 0x0000000000000102 (row 258)")
        );
        let hashed = Plan::new(builtin("ycsb-a").unwrap());
        let words = row_words(&hashed, row);
        assert!(words.starts_with("table usertable, key `user"), "{words}");
        assert!(words.ends_with("` (row 258)"), "{words}");
        let key = words.split('`').nth(1).unwrap();
        assert_eq!(hashed.table(TableRef(0)).key.decode(key.as_bytes()), Some(258));
    }

    #[test]
    fn a_value_of_another_table_names_that_table_and_its_key() {
        let plan = Plan::new(builtin("mixed").unwrap());
        let here = RowRef::new(TableRef(0), 5);
        let words = |other: RowRef| {
            let mut found = Violations::default();
            found.add_fault(ViolationKind::DamagedRead, here, ValueFault::OfAnotherRow(other));
            found.examples()[0].words(&plan)
        };
        let other = RowRef::new(TableRef(1), 9);
        let expected = format!(
            "damaged-read: {}: it was written to {}",
            row_words(&plan, here),
            row_words(&plan, other)
        );
        assert_eq!(words(other), expected);
        assert!(
            expected.contains(&format!("to table {}, key ", plan.tables()[1].name)),
            "{expected}"
        );
        assert!(words(RowRef::new(TableRef(7), 3)).ends_with("row 3 of a table 7 that there is not"));
    }

    #[test]
    fn long_keys_are_shortened_and_odd_ones_shown_in_hexadecimal() {
        assert_eq!(show(b"a b"), "0x612062");
        assert_eq!(show(b""), "0x");
        assert!(show(&[b'x'; 40]).ends_with("`... (40 bytes)"));
    }
}
