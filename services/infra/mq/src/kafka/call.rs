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
    let deadline = Instant::now() + WITHIN;
    let mut pause = FIRST_PAUSE;
    let mut last = None;
    while Instant::now() < deadline {
        match timeout_at(deadline, tokio::task::spawn_blocking(call.clone())).await {
            Ok(Ok(Ok(value))) => return Ok(value),
            Ok(Ok(Err(error))) if is_final(&error) => return Err(MqError::unavailable(what, error)),
            Ok(Ok(Err(error))) => last = Some(error),
            Ok(Err(panicked)) => return Err(MqError::unavailable(what, panicked)),
            Err(_) => break,
        }
        sleep(pause.mul_f64(rand::random())).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    let reason = last.map_or_else(|| "no answer".to_owned(), |error| error.to_string());
    Err(MqError::unavailable(what, reason))
}

/// What another try can't heal.
fn is_final(error: &KafkaError) -> bool {
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
                    | Code::Fatal
            )
        )
}

/// The ways in which client and broker say that a topic or partition is not there.
pub(super) fn is_no_partition(code: Code) -> bool {
    matches!(code, Code::UnknownPartition | Code::UnknownTopic | Code::UnknownTopicOrPartition)
}
