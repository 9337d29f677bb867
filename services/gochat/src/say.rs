//! What a person at a terminal is told. Logs are tracing's; this is the program's output.

use std::io::Write as _;

/// A line on standard output. One that can't be written is nobody's loss: the reader has gone.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Text as it is on standard output.
pub(crate) fn text(text: &str) {
    let _ = write!(std::io::stdout().lock(), "{text}");
}

/// What ended the program.
pub(crate) fn error(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "error: {text}");
}
