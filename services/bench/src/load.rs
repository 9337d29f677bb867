//! The open loop: messages go when they are due, whatever the answers do, and latencies count from when they were due,
//! so a server that stalls can't slow its own measurement down (coordinated omission).

use std::io::Write as _;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::args::Args;
use crate::connections::{Command, Connections, Shared};
use crate::ledger::Talk;

/// Sends warm-up and load, until their time is up or `ended`; returns how long the load took.
pub(crate) async fn run(
    args: &Args,
    talks: &[Talk],
    connections: &Connections,
    shared: &Shared,
    ended: impl Future<Output = ()>,
) -> Duration {
    let begun = Instant::now();
    let begun_at = shared.now();
    let whole = args.warmup + args.duration;
    let load = async {
        let mut turns = Turns { talks, next: 0 };
        for number in 0u64.. {
            let due = Duration::from_secs_f64(number as f64 / args.rate);
            if due >= whole {
                break;
            }
            if due > begun.elapsed() {
                sleep_until(begun + due).await;
            }
            let Some((talk, user, conversation)) = turns.next() else { break };
            let message = shared.ledger.lock().send(talk, begun_at + due, due >= args.warmup);
            let Some(number) = message else { break };
            let text = shared.text(number, args.payload);
            connections.send(user, Command::Send { conversation, number, text }).await;
        }
    };
    with_progress(shared, load, ended).await;
    begun.elapsed().saturating_sub(args.warmup)
}

/// Keeps idle connections open.
pub(crate) async fn hold(args: &Args, shared: &Shared, ended: impl Future<Output = ()>) {
    with_progress(shared, tokio::time::sleep(args.duration), ended).await;
}

/// Conversations in turn, and in each its members in turn.
struct Turns<'a> {
    talks: &'a [Talk],
    next: usize,
}

impl Turns<'_> {
    /// (talk, user, conversation).
    fn next(&mut self) -> Option<(usize, usize, u64)> {
        let talk = self.next.checked_rem(self.talks.len())?;
        let round = self.next / self.talks.len();
        self.next += 1;
        let Talk { conversation, members } = self.talks.get(talk)?;
        let user = members.get(round.checked_rem(members.len())?)?;
        Some((talk, *user, *conversation))
    }
}

/// A line a second to stderr, until the work is done or `ended`.
async fn with_progress(shared: &Shared, work: impl Future<Output = ()>, ended: impl Future<Output = ()>) {
    let begun = Instant::now();
    let second = Duration::from_secs(1);
    let mut ticks = interval(second);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let (mut sent_before, mut delivered_before) = (0, 0);
    tokio::pin!(work, ended);
    loop {
        tokio::select! {
            () = &mut work => return,
            () = &mut ended => return,
            _ = ticks.tick() => {
                let (sent, accepted, committed, delivered) = {
                    let ledger = shared.ledger.lock();
                    (ledger.sent(), ledger.accepted, ledger.committed, ledger.delivered)
                };
                // A closed stderr ends nothing.
                let _ = writeln!(
                    std::io::stderr(),
                    "{:>4} s  online {}  sent {sent} (+{})  accepted {accepted}  committed {committed}  delivered {delivered} (+{})",
                    begun.elapsed().as_secs(),
                    shared.online.load(Relaxed),
                    sent - sent_before,
                    delivered - delivered_before,
                );
                (sent_before, delivered_before) = (sent, delivered);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_conversation_and_in_it_every_member_has_its_turn() {
        let talks =
            [Talk { conversation: 7, members: vec![0, 1] }, Talk { conversation: 8, members: vec![1, 2, 3] }];
        let mut turns = Turns { talks: &talks, next: 0 };
        let got: Vec<_> = (0..6).filter_map(|_| turns.next()).collect();
        assert_eq!(got, [(0, 0, 7), (1, 1, 8), (0, 1, 7), (1, 2, 8), (0, 0, 7), (1, 3, 8)]);
        assert_eq!(Turns { talks: &[], next: 0 }.next(), None);
    }
}
