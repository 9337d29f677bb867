//! Read cursors: forward only, and never past the last seq.

use std::collections::{BTreeMap, HashMap};

use gochat_db::{Arg, pairs, placeholders};
use gochat_proto::repo::{AdvanceReadCursorsRequest, AdvanceReadCursorsResponse, ReadCursor};
use tonic::Status;

use crate::check;
use crate::conversations::head::last_seq;
use crate::store::{Failure, Store, padded};

/// Cursors moved by one statement.
const CHUNK: usize = 64;

type Place = (u64, u64);

pub(crate) async fn advance(
    store: &Store,
    asked: AdvanceReadCursorsRequest,
) -> Result<AdvanceReadCursorsResponse, Status> {
    check::count("cursors", asked.cursors.len(), check::MOST_PER_BATCH)?;
    // Of several for the same place, the furthest. In order of the key, so that rows are locked in one order by all.
    let mut wanted: BTreeMap<Place, u64> = BTreeMap::new();
    for cursor in &asked.cursors {
        let place =
            (check::id("conversation_id", cursor.conversation_id)?, check::id("user_id", cursor.user_id)?);
        let furthest = wanted.entry(place).or_default();
        *furthest = cursor.seq.max(*furthest);
    }
    let wanted: Vec<(Place, u64)> = wanted.into_iter().collect();
    let now = store
        .run("advance_read_cursors", || async {
            let mut now = HashMap::with_capacity(wanted.len());
            for chunk in wanted.chunks(CHUNK) {
                advance_chunk(store, chunk, &mut now).await?;
            }
            Ok(now)
        })
        .await?;
    let cursors = asked.cursors.into_iter().map(|cursor| {
        let seq = now.get(&(cursor.conversation_id, cursor.user_id)).copied().unwrap_or_default();
        ReadCursor { seq, ..cursor }
    });
    Ok(AdvanceReadCursorsResponse { cursors: cursors.collect() })
}

async fn advance_chunk(
    store: &Store,
    chunk: &[(Place, u64)],
    now: &mut HashMap<Place, u64>,
) -> Result<(), Failure> {
    let places: Vec<Place> = chunk.iter().map(|(place, _)| *place).collect();
    let mut ids: Vec<u64> = places.iter().map(|(id, _)| *id).collect();
    ids.dedup();
    let sql = format!(
        "SELECT c.conversation_id, {} FROM conversations c WHERE c.conversation_id IN ({})",
        last_seq(&store.db, "c"),
        placeholders(ids.len())
    );
    let args: Vec<Arg<'_>> = padded(&ids).map(Arg::from).collect();
    let mut last = HashMap::with_capacity(ids.len());
    for row in store.db.fetch(sql, &args).await? {
        last.insert(row.uint(0)?, row.uint(1)?);
    }
    let sql = format!(
        "SELECT conversation_id, user_id, read_seq FROM members WHERE {}",
        pairs("conversation_id", "user_id", places.len())
    );
    let args: Vec<Arg<'_>> = padded(&places).flat_map(|(id, user)| [id.into(), user.into()]).collect();
    for row in store.db.fetch(sql, &args).await? {
        now.insert((row.uint(0)?, row.uint(1)?), row.uint(2)?);
    }
    let mut moved = Vec::with_capacity(chunk.len());
    for (place, wanted) in chunk {
        let furthest = last.get(&place.0).copied().unwrap_or_default().min(*wanted);
        if let Some(current) = now.get_mut(place)
            && furthest > *current
        {
            *current = furthest;
            moved.push((*place, furthest));
        }
    }
    if moved.is_empty() {
        return Ok(());
    }
    // Only forward, whoever else moves it meanwhile.
    let cases =
        "WHEN conversation_id=? AND user_id=? AND read_seq<? THEN ? ".repeat(moved.len().next_power_of_two());
    let sql = format!(
        "UPDATE members SET read_seq = CASE {cases}ELSE read_seq END WHERE {}",
        pairs("conversation_id", "user_id", moved.len())
    );
    let case = padded(&moved).flat_map(|((id, user), seq)| [id, user, seq, seq]);
    let place = padded(&moved).flat_map(|((id, user), _)| [id, user]);
    let args: Vec<Arg<'_>> = case.chain(place).map(Arg::from).collect();
    store.db.execute(sql, &args).await?;
    Ok(())
}
