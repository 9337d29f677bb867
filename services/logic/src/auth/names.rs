//! What may be a name, a password, a device (pure).

use crate::error::Refusal;

/// 3 to 32 of `a-z 0-9 . _ -`: what can be typed, linked and never confused by case.
pub(crate) fn check_name(name: &str) -> Result<(), Refusal> {
    let fits = (3..=32).contains(&name.len())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'));
    if fits { Ok(()) } else { Err(Refusal::BadName(name.chars().take(40).collect())) }
}

/// 8 to 128 bytes, not all the same. The upper end bounds what a stranger can make us hash.
pub(crate) fn check_password(password: &str) -> Result<(), Refusal> {
    match password.len() {
        0..8 => Err(Refusal::WeakPassword("shorter than 8 bytes")),
        8..=128 => {
            let first = password.chars().next();
            if password.chars().all(|c| Some(c) == first) {
                return Err(Refusal::WeakPassword("one character repeated"));
            }
            Ok(())
        }
        _ => Err(Refusal::WeakPassword("longer than 128 bytes")),
    }
}

/// What is shown of a user: at most 64 characters, none of control; empty means the name.
pub(crate) fn display_name(asked: &str, name: &str) -> Result<String, Refusal> {
    let asked = asked.trim();
    if asked.is_empty() {
        return Ok(name.to_owned());
    }
    check_line("display_name", asked, 64)?;
    Ok(asked.to_owned())
}

/// A device as people read it, cut to 64 bytes; only shown, so never a reason to refuse a login.
pub(crate) fn device(asked: &str) -> String {
    let mut kept = String::new();
    for c in asked.trim().chars().filter(|c| !c.is_control()) {
        if kept.len() + c.len_utf8() > 64 {
            break;
        }
        kept.push(c);
    }
    kept
}

/// One line of text for people.
pub(crate) fn check_line(field: &'static str, text: &str, most_chars: usize) -> Result<(), Refusal> {
    if text.chars().count() > most_chars {
        return Err(Refusal::field(field, format!("longer than {most_chars} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(Refusal::field(field, "contains control characters"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_lower_case_and_plain() {
        for good in ["bob", "a.b_c-9", &"x".repeat(32)] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", "ab", "Bob", "b ob", "bøb", "a@b", &"x".repeat(33)] {
            assert!(matches!(check_name(bad), Err(Refusal::BadName(_))), "{bad}");
        }
    }

    #[test]
    fn passwords_are_bounded_both_ways() {
        assert_eq!(check_password("correct horse"), Ok(()));
        for bad in ["", "1234567", "aaaaaaaaaa", &"ab".repeat(65)] {
            assert!(matches!(check_password(bad), Err(Refusal::WeakPassword(_))), "{bad}");
        }
    }

    #[test]
    fn a_device_is_cut_at_a_character_and_never_refused() {
        assert_eq!(device(&"ö".repeat(40)), "ö".repeat(32));
        assert_eq!(device("a\nb"), "ab");
    }
}
