//! What the log could not do.

/// Every failure of the log, whichever backend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MqError {
    /// The producer's bounded queue is full: back off.
    #[error("the producer's queue is full")]
    QueueFull,
    /// Refused before it was sent.
    #[error("record of {bytes} bytes: at most {max}")]
    TooLarge {
        /// Of key, payload and headers.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Not durable within the delivery timeout, or the log is away.
    #[error("{what}: {reason}")]
    Unavailable {
        /// What was tried on which object.
        what: String,
        /// As the engine said it.
        reason: String,
    },
    /// No such topic or partition.
    #[error("topic {topic} has no partition {partition}")]
    NoPartition {
        /// As it was asked for.
        topic: String,
        /// As it was asked for.
        partition: u32,
    },
    /// A setting that can't work; names the setting and its value.
    #[error("{0}")]
    Config(String),
}

impl MqError {
    // An error is formatted once and then of no use.
    #[allow(clippy::needless_pass_by_value)]
    pub(crate) fn unavailable(what: impl Into<String>, reason: impl ToString) -> Self {
        Self::Unavailable { what: what.into(), reason: reason.to_string() }
    }

    pub(crate) fn no_partition(topic: &str, partition: u32) -> Self {
        Self::NoPartition { topic: topic.to_owned(), partition }
    }
}
