//! Blocking calls of librdkafka, made off the runtime, in bounded time, with limited retries.

use std::time::Duration;

use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use tokio::time::{Instant, sleep, timeout_at};

use crate::MqError;

/// After which a question to the cluster has failed, its retries included.
pub(super) const WITHIN: Duration = Duration::from_secs(10);

const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Calls until it succeeds, fails for good, or [`WITHIN`] is over. Pauses have full jitter.
pub(super) async fn call<T: Send + 'static>(
    what: &str,
    call: impl Fn() -> KafkaResult<T> + Clone + Send + 'static,
) -> Result<T, MqError> {
    let mut retries = Retries::new();
    let mut last = None;
    loop {
        match timeout_at(retries.deadline, tokio::task::spawn_blocking(call.clone())).await {
            Ok(Ok(Ok(value))) => return Ok(value),
            Ok(Ok(Err(error))) if is_final(&error) => return Err(MqError::unavailable(what, error)),
            Ok(Ok(Err(error))) => last = Some(error),
            Ok(Err(panicked)) => return Err(MqError::unavailable(what, panicked)),
            Err(_) => break,
        }
        if !retries.pause().await {
            break;
        }
    }
    let reason = last.map_or_else(|| "no answer".to_owned(), |error| error.to_string());
    Err(MqError::unavailable(what, reason))
}

/// Tries within [`WITHIN`], with pauses that double and have full jitter.
pub(super) struct Retries {
    deadline: Instant,
    pause: Duration,
}

impl Retries {
    pub(super) fn new() -> Self {
        Self { deadline: Instant::now() + WITHIN, pause: FIRST_PAUSE }
    }

    /// Waits for the next try; false if the time is up.
    pub(super) async fn pause(&mut self) -> bool {
        sleep(self.pause.mul_f64(rand::random())).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Instant::now() < self.deadline
    }
}

/// What another try can't heal.
pub(super) fn is_final(error: &KafkaError) -> bool {
    let code = error.rdkafka_error_code();
    code.is_some_and(is_no_partition)
        || matches!(
            code,
            Some(
                Code::TopicAuthorizationFailed
                    | Code::GroupAuthorizationFailed
                    | Code::ClusterAuthorizationFailed
                    | Code::InvalidArgument
                    | Code::InvalidGroupId
                    | Code::InvalidTopic
                    | Code::InvalidPartitions
                    | Code::InvalidReplicationFactor
                    | Code::PolicyViolation
                    | Code::Fatal
            )
        )
}

/// The ways in which client and broker say that a topic or partition is not there.
pub(super) fn is_no_partition(code: Code) -> bool {
    matches!(code, Code::UnknownPartition | Code::UnknownTopic | Code::UnknownTopicOrPartition)
}
