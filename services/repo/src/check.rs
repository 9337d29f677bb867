//! Limits of what comes in. Logic has checked it for people; here it is what the schema can hold and what a call may cost.

use gochat_proto::repo::NewMessage;
use tonic::Status;

/// Most messages or cursors of one call.
pub(crate) const MOST_PER_BATCH: usize = 1_000;
/// Most ids looked up by one call.
pub(crate) const MOST_IDS: usize = 1_000;
/// Most member changes, or first members, of one call.
pub(crate) const MOST_MEMBERS: usize = 100_000;
/// Longest text of a message, in bytes.
const LONGEST_TEXT: usize = 65_536;

pub(crate) fn invalid(field: &str, why: &str) -> Status {
    Status::invalid_argument(format!("{field}: {why}"))
}

/// An id: set, and below 2^63 as a BIGINT is.
pub(crate) fn id(field: &str, id: u64) -> Result<u64, Status> {
    match id {
        0 => Err(invalid(field, "not set")),
        id if i64::try_from(id).is_err() => Err(invalid(field, "above 2^63 - 1")),
        id => Ok(id),
    }
}

/// Characters as VARCHAR counts them.
pub(crate) fn text(field: &str, text: &str, most_chars: usize) -> Result<(), Status> {
    if text.len() > most_chars && text.chars().count() > most_chars {
        return Err(invalid(field, &format!("longer than {most_chars} characters")));
    }
    Ok(())
}

pub(crate) fn count(field: &str, count: usize, most: usize) -> Result<(), Status> {
    if count > most {
        return Err(invalid(field, &format!("more than {most}")));
    }
    Ok(())
}

/// A page's size: 0 means `default`, what is above is cut.
pub(crate) fn limit(asked: u32, default: u32, most: u32) -> usize {
    let limit = if asked == 0 { default } else { asked.min(most) };
    limit as usize
}

pub(crate) fn message(message: &NewMessage) -> Result<(), Status> {
    id("message_id", message.message_id)?;
    id("conversation_id", message.conversation_id)?;
    id("sender_id", message.sender_id)?;
    let client_msg_id = message.client_msg_id.as_bytes();
    if !(1..=36).contains(&client_msg_id.len()) || !client_msg_id.iter().all(u8::is_ascii_graphic) {
        return Err(invalid("client_msg_id", "not 1 to 36 visible ASCII characters"));
    }
    if message.text.len() > LONGEST_TEXT {
        return Err(invalid("text", "longer than 65,536 bytes"));
    }
    Ok(())
}
