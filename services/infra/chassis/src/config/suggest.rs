//! The nearest known name.

/// The most similar of `known`, where one is similar enough to be a typo or another spelling of `name`.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.replace(['_', '-'], "").to_lowercase();
    let name = plain(name);
    known
        .into_iter()
        .map(|candidate| {
            let other = plain(candidate);
            // The first word of two is often all that somebody remembers: `bootstrap` of `bootstrap_servers`.
            let part =
                other.len().min(name.len()) >= 4 && (other.starts_with(&name) || name.starts_with(&other));
            (if part { 0.9 } else { strsim::jaro_winkler(&name, &other) }, candidate)
        })
        .filter(|(similarity, _)| *similarity >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_other_spellings_and_halves_are_recognised() {
        let known = ["bootstrap", "delivery_timeout", "linger", "prefix"];
        assert_eq!(nearest("bootstap", known), Some("bootstrap"));
        assert_eq!(nearest("deliveryTimeout", known), Some("delivery_timeout"));
        assert_eq!(nearest("bootstrap_servers", known), Some("bootstrap"));
        assert_eq!(nearest("password", known), None);
    }
}
