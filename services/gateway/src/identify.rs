//! Who tokens stand for. Logic is asked for one token at a time while few clients come, and for many in a call when many
//! do: a mass reconnect is some hundred calls, not ten thousand.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use gochat_proto::logic::auth_service_client::AuthServiceClient;
use gochat_proto::logic::validated::Result as Validated;
use gochat_proto::logic::{Identity, ValidateManyRequest, ValidateRequest, validate_request::Token};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tonic::transport::Channel;

use crate::error_codes as codes;
use crate::refusal::Refusal;

/// While so many calls are under way tokens gather, to go together in the next one …
const CALLS: usize = 4;
/// … but only so long: a logic that hangs must not keep who can be asked of another.
const GATHER: Duration = Duration::from_millis(20);
/// Tokens in a call; logic takes 256.
const MOST: usize = 128;
/// Tokens that wait; who comes then waits for a place, no longer than a hello may take.
const WAITING: usize = 1_024;

/// Asks logic; cheap to clone.
#[derive(Clone)]
pub(crate) struct Identify(mpsc::Sender<Asked>);

struct Asked {
    request: ValidateRequest,
    answer: oneshot::Sender<Result<Identity, Refusal>>,
}

impl Identify {
    /// Works until the last clone is gone.
    pub(crate) fn start(logic: AuthServiceClient<Channel>) -> Self {
        let (sender, asked) = mpsc::channel(WAITING);
        tokio::spawn(run(logic, asked));
        Self(sender)
    }

    /// Who a token stands for.
    pub(crate) async fn ask(&self, token: Token, issue_resume_token: bool) -> Result<Identity, Refusal> {
        let request = ValidateRequest { token: Some(token), issue_resume_token };
        let (answer, answered) = oneshot::channel();
        let away = || Refusal::from(codes::UNAVAILABLE);
        self.0.send(Asked { request, answer }).await.map_err(|_| away())?;
        answered.await.unwrap_or_else(|_| Err(away()))
    }
}

async fn run(logic: AuthServiceClient<Channel>, mut asked: mpsc::Receiver<Asked>) {
    let mut calls = FuturesUnordered::new();
    let mut latest = Instant::now();
    loop {
        if calls.len() >= CALLS {
            let _ = timeout_at(latest + GATHER, calls.next()).await;
        }
        let mut batch = Vec::new();
        tokio::select! {
            taken = asked.recv_many(&mut batch, MOST) => {
                if taken == 0 {
                    break;
                }
                latest = Instant::now();
                calls.push(call(logic.clone(), batch));
            }
            Some(()) = calls.next() => {}
        }
    }
    while calls.next().await.is_some() {}
}

async fn call(mut logic: AuthServiceClient<Channel>, mut batch: Vec<Asked>) {
    // Clients that have left since.
    batch.retain(|asked| !asked.answer.is_closed());
    let requests = batch.iter_mut().map(|asked| std::mem::take(&mut asked.request)).collect();
    let mut answers = logic.validate_many(ValidateManyRequest { requests }).await.map(|answer| {
        let results = answer.into_inner().results.into_iter();
        results.map(|validated| match validated.result {
            // 0 is "not set": an identity without a user is none.
            Some(Validated::Identity(identity)) if identity.user_id != 0 => Ok(identity),
            Some(Validated::Refused(refused)) => Err(refused.into()),
            _ => Err(codes::UNAUTHENTICATED.into()),
        })
    });
    for Asked { answer, .. } in batch {
        let result = match &mut answers {
            Ok(answers) => answers.next().unwrap_or_else(|| Err(codes::UNAVAILABLE.into())),
            Err(status) => Err(Refusal::from(&*status)),
        };
        // Nobody waits for it any more.
        let _ = answer.send(result);
    }
}
