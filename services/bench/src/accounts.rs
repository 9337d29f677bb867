//! The users of a run: from the accounts file where their tokens still hold, else refreshed, registered or logged in.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use futures::{StreamExt, TryStreamExt, stream};
use gochat_client::{Account, Api, ApiError};
use rand::RngExt;

use crate::args::{Args, Target};

const DEVICE: &str = "gochat bench";
/// A token has to hold this long beyond the run.
const SPARE: Duration = Duration::from_mins(2);
const ATTEMPTS: u32 = 8;

/// As many accounts as the run needs, in the order of their numbers.
pub(crate) async fn prepare(args: &Args, targets: &[Target]) -> Result<Vec<Account>> {
    let apis = targets.iter().map(|t| Api::new(&t.http)).collect::<Result<Vec<_>, _>>()?;
    let known = args.accounts.as_deref().map(read).transpose()?.unwrap_or_default();
    let needed_until = SystemTime::now() + args.warmup + args.duration + args.quiesce + SPARE;
    let needed_until = needed_until.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();

    let one = |number: usize| {
        let name = format!("{}{number}", args.prefix);
        let known = known.get(&name).cloned();
        let api = apis.get(number % apis.len().max(1));
        async move {
            let api = api.context("no target")?;
            match known {
                Some(account) if u128::from(account.expires_at_ms) > needed_until => Ok(account),
                Some(account) => match api.refresh(&account.refresh_token).await {
                    Ok(account) => Ok(account),
                    Err(_) => enter(api, &name).await,
                },
                None => enter(api, &name).await,
            }
        }
    };
    let accounts: Vec<Account> = stream::iter(0..args.users_needed())
        .map(one)
        .buffered(usize::from(args.parallel))
        .try_collect()
        .await?;
    if let Some(path) = &args.accounts {
        write(path, &accounts)?;
    }
    Ok(accounts)
}

/// Registers, or logs in where the name is taken: by an earlier run.
async fn enter(api: &Api, name: &str) -> Result<Account> {
    let password = format!("password of {name}");
    let entered = retry(|| async {
        match api.register(name, &password, DEVICE).await {
            Err(error) if error.code() == Some("name_taken") => api.login(name, &password, DEVICE).await,
            other => other,
        }
    });
    entered.await.with_context(|| format!("registering {name}"))
}

/// Tries again what a busy or restarting server refuses, with full jitter.
pub(crate) async fn retry<T, F: Future<Output = Result<T, ApiError>>>(
    mut call: impl FnMut() -> F,
) -> Result<T, ApiError> {
    let mut cap = Duration::from_millis(100);
    for _ in 1..ATTEMPTS {
        match call().await {
            Err(error) if is_passing(&error) => {
                tokio::time::sleep(cap.mul_f64(rand::rng().random_range(0.0..=1.0))).await;
                cap = (cap * 2).min(Duration::from_secs(5));
            }
            done => return done,
        }
    }
    call().await
}

fn is_passing(error: &ApiError) -> bool {
    match error {
        ApiError::Http { .. } => true,
        ApiError::Refused { code, .. } => {
            matches!(code.as_str(), "rate_limited" | "overloaded" | "unavailable")
        }
    }
}

/// One JSON object a line.
fn read(path: &Path) -> Result<HashMap<String, Account>> {
    if !path.exists() {
        return Ok(HashMap::new());
    }
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    text.lines()
        .enumerate()
        .map(|(number, line)| {
            let account: Account = serde_json::from_str(line)
                .with_context(|| format!("{}:{}: no account: delete the file", path.display(), number + 1))?;
            Ok((account.user.name.clone(), account))
        })
        .collect()
}

fn write(path: &Path, accounts: &[Account]) -> Result<()> {
    let lines = accounts.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    fs::write(path, lines.join("\n") + "\n").with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_survive_their_file() {
        let path = std::env::temp_dir().join(format!("gochat-bench-accounts-{}", std::process::id()));
        assert!(read(&path).unwrap().is_empty(), "no file: nobody");
        let account: Account = serde_json::from_str(
            r#"{"user":{"userId":"7","name":"bench0"},"sessionId":"1","accessToken":"a","refreshToken":"r","expiresAtMs":"9"}"#,
        )
        .unwrap();
        write(&path, std::slice::from_ref(&account)).unwrap();
        let read = read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(read["bench0"].expires_at_ms, account.expires_at_ms);
    }
}
