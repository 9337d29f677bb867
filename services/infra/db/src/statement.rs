//! Parts of statement text whose length depends on the data, in few different lengths, since each length is prepared
//! once per connection and stays cached there.

/// `?,?,…` for an IN list of at least `count` values: the next power of two. Fill up with any of the values again.
pub fn placeholders(count: usize) -> String {
    repeat("?", ",", count.next_power_of_two())
}

/// `(left=? AND right=?) OR …` for at least `count` pairs: the next power of two. Fill up with any of the pairs again.
/// Row values would be shorter, but SQLite and MySQL write lists of them differently.
pub fn pairs(left: &str, right: &str, count: usize) -> String {
    repeat(&format!("({left}=? AND {right}=?)"), " OR ", count.next_power_of_two())
}

/// `(?,?,…),(?,?,…)…`: exactly so many rows.
pub fn values(columns: usize, rows: usize) -> String {
    repeat(&format!("({})", repeat("?", ",", columns)), ",", rows)
}

fn repeat(part: &str, between: &str, count: usize) -> String {
    let mut text = String::with_capacity((part.len() + between.len()) * count);
    for i in 0..count {
        if i > 0 {
            text.push_str(between);
        }
        text.push_str(part);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_in_powers_of_two() {
        assert_eq!(placeholders(1), "?");
        assert_eq!(placeholders(3), "?,?,?,?");
        assert_eq!(pairs("a", "b", 2), "(a=? AND b=?) OR (a=? AND b=?)");
        assert_eq!(values(2, 3), "(?,?),(?,?),(?,?)");
    }
}
