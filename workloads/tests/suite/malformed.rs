//! Every way in which a spec can be wrong, and the exact words and place of the answer.

use workloads::spec::Spec;

const GOOD: &str = r#"title = "t"
threads = 2
[[table]]
name = "items"
rows = 10
[[table]]
name = "orders"
rows = 20
[[transaction]]
name = "x"
operations = [
  { op = "point-read", table = "items" },
  { op = "range", table = "orders", length = 5 },
]
"#;

fn answer(text: &str) -> String {
    match Spec::parse("malformed", "my.toml", text) {
        Ok(_) => "nothing is wrong".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn each_malformed_spec_is_answered_with_these_words_at_this_place() {
    assert_eq!(answer(GOOD), "nothing is wrong");
    let mut lines = include_str!("malformed.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (mut cases, mut wrong) = (0, String::new());
    while let Some(change) = lines.next() {
        let (from, to) = change.split_once(" => ").unwrap();
        assert!(GOOD.contains(from), "{change}");
        let answer = answer(&GOOD.replacen(from, &to.replace("\\n", "\n"), 1));
        let expected = format!("my.toml:{}", lines.next().unwrap().trim_start());
        if answer != expected {
            wrong += &format!("{change}\n  gave     {answer}\n  expected {expected}\n");
        }
        cases += 1;
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(cases > 120, "{cases} cases");
}

#[test]
fn places_are_right_in_every_kind_of_text() {
    let missing = "`title` is missing in the spec, expected one line of text";
    for text in ["", "\n\n", "# nothing\n"] {
        assert_eq!(answer(text), format!("my.toml:1:1: {missing}"), "{text:?}");
    }
    let threads = "`threads` is 0, expected 1 to 1024";
    let bad = GOOD.replace("threads = 2", "threads = 0");
    for (text, place) in [
        (bad.replace('\n', "\r\n"), "2:11"),
        (format!("\u{feff}{bad}"), "2:11"),
        (bad.replace("title", "\"title\""), "2:11"),
        (bad.replace("title = \"t\"", "title = '''\nt\nü'''"), "4:11"),
        (bad.replace("threads = 0", "# ü\nthreads = 0"), "3:11"),
        (bad.replace("threads = 0", "\t threads  =\t0"), "2:14"),
    ] {
        assert_eq!(answer(&text), format!("my.toml:{place}: {threads}"), "{text}");
    }
    let tables = "[[table]]\nname = \"items\"\nrows = 10\n[table.key]\nsize = 8\n[table.value.size]\nmin = 1\nmax = \"x\"";
    let nested = GOOD.replacen("[[table]]\nname = \"items\"\nrows = 10", tables, 1);
    assert!(
        answer(&nested).starts_with("my.toml:10:7: `max`: `x`"),
        "{}",
        answer(&nested)
    );
}
