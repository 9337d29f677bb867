//! One shard's sessions: which edges hold which users, and which edges watch whom. No I/O, no clock.

use std::collections::HashMap;

use smallvec::SmallVec;

/// An edge's stream; a new stream of the same edge is another one.
pub(super) type EdgeIx = u32;

/// Edges, few: a user has a handful of devices.
type EdgeSet = SmallVec<[EdgeIx; 4]>;

/// A shard at its home, or at a gateway that edges take for its home.
#[derive(Default)]
pub(super) struct ShardTable {
    /// Its partition is consumed here.
    open: bool,
    attached: EdgeSet,
    users: HashMap<u64, EdgeSet>,
    watched: HashMap<u64, EdgeSet>,
}

/// Tell an edge about a user it watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Notice {
    pub(super) edge: EdgeIx,
    pub(super) user: u64,
    pub(super) online: bool,
}

impl ShardTable {
    /// Replaces what is known of an edge. The flag says whether consumption had begun, so that it missed something.
    pub(super) fn attach_shard(
        &mut self,
        edge: EdgeIx,
        users: Vec<u64>,
        watched: &[u64],
    ) -> (bool, Vec<Notice>) {
        let known: std::collections::HashSet<u64> = users.iter().copied().collect();
        let gone: Vec<u64> = self
            .users
            .iter()
            .filter(|(u, e)| e.contains(&edge) && !known.contains(u))
            .map(|(u, _)| *u)
            .collect();
        insert(&mut self.attached, edge);
        let mut notices = Vec::new();
        for user in gone {
            notices.extend(self.detach_user(edge, user));
        }
        for user in users {
            notices.extend(self.add(edge, user));
        }
        self.watched.retain(|_, edges| remove(edges, edge));
        notices.extend(self.watch(edge, watched));
        (self.open, notices)
    }

    /// The flag is false where the edge is not attached: this is not the shard's home, or not any more.
    pub(super) fn attach_user(&mut self, edge: EdgeIx, user: u64) -> (bool, Vec<Notice>) {
        if !self.attached.contains(&edge) {
            return (false, Vec::new());
        }
        (true, self.add(edge, user))
    }

    fn add(&mut self, edge: EdgeIx, user: u64) -> Vec<Notice> {
        let edges = self.users.entry(user).or_default();
        let came = edges.is_empty();
        insert(edges, edge);
        if came { self.changed(user, true) } else { Vec::new() }
    }

    pub(super) fn detach_user(&mut self, edge: EdgeIx, user: u64) -> Vec<Notice> {
        let Some(edges) = self.users.get_mut(&user) else { return Vec::new() };
        if remove(edges, edge) {
            return Vec::new();
        }
        self.users.remove(&user);
        self.changed(user, false)
    }

    /// Answered at once where the shard is open; else all are when it opens.
    pub(super) fn watch(&mut self, edge: EdgeIx, users: &[u64]) -> Vec<Notice> {
        if !self.attached.contains(&edge) {
            return Vec::new();
        }
        for user in users {
            insert(self.watched.entry(*user).or_default(), edge);
        }
        if !self.open {
            return Vec::new();
        }
        users.iter().map(|user| Notice { edge, user: *user, online: self.users.contains_key(user) }).collect()
    }

    pub(super) fn unwatch(&mut self, edge: EdgeIx, users: &[u64]) {
        for user in users {
            if self.watched.get_mut(user).is_some_and(|edges| !remove(edges, edge)) {
                self.watched.remove(user);
            }
        }
    }

    /// The edge is gone, with all its sessions.
    pub(super) fn drop_edge(&mut self, edge: EdgeIx) -> Vec<Notice> {
        remove(&mut self.attached, edge);
        self.watched.retain(|_, edges| remove(edges, edge));
        let theirs: Vec<u64> =
            self.users.iter().filter(|(_, e)| e.contains(&edge)).map(|(u, _)| *u).collect();
        theirs.into_iter().flat_map(|user| self.detach_user(edge, user)).collect()
    }

    /// Consumption begins. Only now is it known who is not online.
    pub(super) fn open(&mut self) -> Vec<Notice> {
        self.open = true;
        self.watched
            .iter()
            .flat_map(|(user, edges)| edges.iter().map(|edge| (*edge, *user)))
            .map(|(edge, user)| Notice { edge, user, online: self.users.contains_key(&user) })
            .collect()
    }

    /// Consumption has ended: forgets everything, and says who has to be told.
    pub(super) fn release(&mut self) -> Vec<EdgeIx> {
        std::mem::take(self).attached.into_vec()
    }

    /// A user's presence changed: tell who watches. Before the shard is open an absent user may just not be attached yet.
    fn changed(&self, user: u64, online: bool) -> Vec<Notice> {
        if !self.open {
            return Vec::new();
        }
        let watchers = self.watched.get(&user).into_iter().flatten();
        watchers.map(|edge| Notice { edge: *edge, user, online }).collect()
    }

    pub(super) fn attached(&self) -> &[EdgeIx] {
        &self.attached
    }

    pub(super) fn users(&self) -> usize {
        self.users.len()
    }

    /// The recipients by edge, in the order first met, and those that nobody holds.
    pub(super) fn route(&self, recipients: &[u64]) -> Routed {
        let mut routed = Routed::default();
        for user in recipients {
            let Some(edges) = self.users.get(user) else {
                routed.offline.push(*user);
                continue;
            };
            for edge in edges {
                match routed.by_edge.iter_mut().find(|(e, _)| e == edge) {
                    Some((_, users)) => users.push(*user),
                    None => routed.by_edge.push((*edge, vec![*user])),
                }
            }
        }
        routed
    }
}

/// Where a record goes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Routed {
    pub(super) by_edge: Vec<(EdgeIx, Vec<u64>)>,
    pub(super) offline: Vec<u64>,
}

fn insert(edges: &mut EdgeSet, edge: EdgeIx) {
    if !edges.contains(&edge) {
        edges.push(edge);
    }
}

/// Whether any is left.
fn remove(edges: &mut EdgeSet, edge: EdgeIx) -> bool {
    edges.retain(|e| *e != edge);
    !edges.is_empty()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn notice(edge: EdgeIx, user: u64, online: bool) -> Notice {
        Notice { edge, user, online }
    }

    #[test]
    fn a_record_goes_once_to_each_edge_with_its_recipients_there() {
        let mut table = ShardTable::default();
        table.attach_shard(1, vec![10, 11], &[]);
        table.attach_shard(2, vec![11, 12], &[]);
        let routed = table.route(&[10, 11, 12, 13]);
        assert_eq!(routed.by_edge, [(1, vec![10, 11]), (2, vec![11, 12])]);
        assert_eq!(routed.offline, [13]);
    }

    #[test]
    fn who_attaches_before_the_shard_opens_is_in_time_and_who_comes_later_is_late() {
        let mut table = ShardTable::default();
        assert!(!table.attach_shard(1, vec![10], &[]).0);
        table.open();
        assert!(table.attach_shard(2, vec![], &[]).0);
    }

    #[test]
    fn a_user_is_not_taken_from_an_edge_that_is_not_attached() {
        let mut table = ShardTable::default();
        assert_eq!(table.attach_user(1, 10), (false, vec![]));
        table.attach_shard(1, vec![], &[]);
        assert_eq!(table.attach_user(1, 10), (true, vec![]));
        assert_eq!(table.release(), [1]);
        assert_eq!(table.attach_user(1, 11), (false, vec![]), "released: forgotten");
        assert_eq!(table.users(), 0);
    }

    #[test]
    fn watchers_hear_of_the_first_session_and_of_the_last() {
        let mut table = ShardTable::default();
        table.attach_shard(1, vec![], &[10]);
        table.attach_shard(2, vec![], &[]);
        assert_eq!(table.open(), [notice(1, 10, false)]);
        assert_eq!(table.attach_user(2, 10).1, [notice(1, 10, true)]);
        assert_eq!(table.attach_user(1, 10).1, []);
        assert_eq!(table.detach_user(2, 10), []);
        assert_eq!(table.detach_user(1, 10), [notice(1, 10, false)]);
        table.unwatch(1, &[10]);
        assert_eq!(table.attach_user(1, 10).1, []);
    }

    #[test]
    fn nobody_is_called_offline_before_all_edges_had_their_say() {
        let mut table = ShardTable::default();
        assert_eq!(table.attach_shard(1, vec![], &[10, 11]).1, []);
        assert_eq!(table.attach_shard(2, vec![10], &[]).1, []);
        let mut opened = table.open();
        opened.sort();
        assert_eq!(opened, [notice(1, 10, true), notice(1, 11, false)]);
    }

    #[test]
    fn an_edge_that_dies_takes_its_sessions_with_it() {
        let mut table = ShardTable::default();
        table.attach_shard(1, vec![10, 11], &[]);
        table.attach_shard(2, vec![11], &[10, 11]);
        table.open();
        assert_eq!(table.drop_edge(1), [notice(2, 10, false)]);
        assert_eq!(table.route(&[10, 11]).by_edge, [(2, vec![11])]);
        assert_eq!(table.attached(), [2]);
    }

    #[test]
    fn an_attachment_replaces_what_was_known_of_the_edge() {
        let mut table = ShardTable::default();
        table.attach_shard(1, vec![10, 11], &[10]);
        table.attach_shard(1, vec![11, 12], &[]);
        assert_eq!(table.route(&[10, 11, 12]).by_edge, [(1, vec![11, 12])]);
        table.open();
        assert_eq!(table.detach_user(1, 11), [], "it watches nobody any more");
    }

    proptest! {
        /// Whatever edges say in whatever order, the table holds exactly the sessions that they have.
        #[test]
        fn the_table_is_the_sum_of_what_edges_hold(steps in proptest::collection::vec((0u32..3, 0u64..6, 0u8..4), 0..120)) {
            let mut table = ShardTable::default();
            table.open();
            let mut held: HashMap<EdgeIx, std::collections::BTreeSet<u64>> = HashMap::new();
            for (edge, user, what) in steps {
                match what {
                    0 | 1 => {
                        if table.attach_user(edge, user).0 {
                            held.entry(edge).or_default().insert(user);
                        }
                    }
                    2 => {
                        table.detach_user(edge, user);
                        held.entry(edge).or_default().remove(&user);
                    }
                    _ if user < 3 => {
                        let users: Vec<u64> = (0..user).collect();
                        table.attach_shard(edge, users.clone(), &[]);
                        held.insert(edge, users.into_iter().collect());
                    }
                    _ => {
                        table.drop_edge(edge);
                        held.remove(&edge);
                    }
                }
            }
            let all: Vec<u64> = (0..6).collect();
            let routed = table.route(&all);
            for (edge, users) in &held {
                let got = routed.by_edge.iter().find(|(e, _)| e == edge).map(|(_, u)| u.clone()).unwrap_or_default();
                prop_assert_eq!(got, users.iter().copied().collect::<Vec<_>>());
            }
            let online = all.iter().filter(|u| held.values().any(|h| h.contains(u))).count();
            prop_assert_eq!(routed.offline.len(), all.len() - online);
        }
    }
}
