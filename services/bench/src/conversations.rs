//! The conversations of a run: pairs first, then groups over all users in turn.

use anyhow::{Context as _, Result};
use futures::{StreamExt, TryStreamExt, stream};
use gochat_client::{Account, Api};

use crate::accounts::retry;
use crate::args::Args;
use crate::ledger::Talk;

/// Members named in one request.
const MEMBERS_AT_A_TIME: usize = 500;

/// Creates what isn't there: direct chats are found again, groups are new in each run.
pub(crate) async fn prepare(args: &Args, api: &Api, accounts: &[Account]) -> Result<Vec<Talk>> {
    let parallel = usize::from(args.parallel);
    let pairs = accounts.chunks_exact(2).take(args.pairs).enumerate().map(|(number, pair)| async move {
        let [first, second] = pair else { unreachable!("chunks of exactly two") };
        let api = api.with_token(&first.access_token);
        let chat = retry(|| api.create_direct(second.user.user_id)).await;
        let chat = chat.with_context(|| format!("creating the chat of {}", first.user.name))?;
        anyhow::Ok(Talk { conversation: chat.conversation_id, members: vec![2 * number, 2 * number + 1] })
    });
    let mut talks: Vec<Talk> = stream::iter(pairs).buffered(parallel).try_collect().await?;

    let groups = (0..args.groups.count).map(|number| {
        let first = number * args.groups.size;
        let members = (first..first + args.groups.size).map(|i| i % accounts.len().max(1)).collect();
        create_group(api, accounts, number, members)
    });
    let groups: Vec<Talk> = stream::iter(groups).buffered(parallel).try_collect().await?;
    talks.extend(groups);
    Ok(talks)
}

async fn create_group(api: &Api, accounts: &[Account], number: usize, members: Vec<usize>) -> Result<Talk> {
    let member = |index: &usize| accounts.get(*index);
    let owner = members.first().and_then(member).context("a group without members")?;
    let api = api.with_token(&owner.access_token);
    let others: Vec<u64> = members.iter().skip(1).filter_map(member).map(|a| a.user.user_id).collect();
    let mut chunks = others.chunks(MEMBERS_AT_A_TIME);
    let title = format!("bench group {number}");
    let first = chunks.next().unwrap_or_default();
    let group =
        retry(|| api.create_group(&title, first)).await.with_context(|| format!("creating {title}"))?;
    for chunk in chunks {
        let added = retry(|| api.add_members(group.conversation_id, chunk)).await;
        added.with_context(|| format!("adding members to {title}"))?;
    }
    Ok(Talk { conversation: group.conversation_id, members })
}
