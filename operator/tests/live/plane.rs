//! Members without a chat behind them: pods that the test makes and says are ready, each with a real `ops.v1` server that
//! reports what the test sets. They obey the GoChatPlacement, unless the test holds them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt as _};
use gochat_crds::{GoChatPlacement, GoChatPlacementSpec};
use gochat_proto::ops::operations_server::{Operations, OperationsServer};
use gochat_proto::ops::{DrainProgress, DrainRequest, LoadReport, SlotLoad, WatchLoadRequest};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use parking_lot::Mutex;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::{Request, Response, Status, async_trait};

use crate::support::{World, eventually};

/// Faster than any member, so that tests are.
const EVERY: Duration = Duration::from_millis(100);

/// What the members of one workload share.
#[derive(Default)]
struct Shared {
    /// The map that they obey.
    obeyed: Mutex<GoChatPlacementSpec>,
    held: Mutex<bool>,
    /// Records a second, by slot.
    loads: Mutex<BTreeMap<u32, f64>>,
    connections: Mutex<u64>,
    /// Of members that have a number of their own.
    connections_of: Mutex<BTreeMap<String, u64>>,
}

/// The members of one workload of one cluster.
pub(crate) struct Plane {
    shared: Arc<Shared>,
    api: Api<Pod>,
    placements: Api<GoChatPlacement>,
    cluster: String,
    workload: String,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Plane {
    /// So many, ready.
    pub(crate) async fn start(world: &World, cluster: &str, workload: &str, members: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let placements: Api<GoChatPlacement> = world.api();
        let name = format!("{cluster}-{workload}");
        let follow = follow(placements.clone(), name, Arc::clone(&shared));
        let mut plane = Self {
            shared,
            api: world.api(),
            placements,
            cluster: cluster.to_owned(),
            workload: workload.to_owned(),
            tasks: vec![tokio::spawn(follow)],
        };
        for member in 0..members {
            plane.join(&format!("{cluster}-{workload}-m{member}")).await;
        }
        plane
    }

    /// One more.
    pub(crate) async fn join(&mut self, name: &str) {
        self.join_with(name, &BTreeMap::new()).await;
    }

    /// One more, with labels beside the usual ones.
    pub(crate) async fn join_with(&mut self, name: &str, labels: &BTreeMap<String, String>) {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let ip = format!("127.0.1.{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let listener = TcpListener::bind((ip.as_str(), 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let member = Member { name: name.to_owned(), shared: Arc::clone(&self.shared) };
        let connections = stream::unfold(listener, |listener| async {
            let connection = listener.accept().await.map(|(connection, _)| connection);
            Some((connection, listener))
        });
        let server = tonic::transport::Server::builder().add_service(OperationsServer::new(member));
        self.tasks.push(tokio::spawn(async move { drop(server.serve_with_incoming(connections).await) }));

        let usual = [("gochat.io/cluster", &self.cluster), ("gochat.io/workload", &self.workload)];
        let pod: Pod = serde_json::from_value(json!({
            "metadata": { "name": name, "labels": BTreeMap::from(usual) },
            "spec": {
                "automountServiceAccountToken": false,
                "containers": [{ "name": "a", "image": "a", "ports": [{ "name": "grpc", "containerPort": port }] }],
            },
        }))
        .unwrap();
        // The namespace's ServiceAccount comes a moment after the namespace.
        let params = PostParams::default();
        eventually(name, || self.api.create(&params, &pod)).await;
        let status = json!({ "status": {
            "phase": "Running", "podIP": ip, "conditions": [{ "type": "Ready", "status": "True" }],
        }});
        self.api.patch_status(name, &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
        // Last: a ReplicaSet that adopts a pod which is not ready yet may let that one go, being the youngest.
        if !labels.is_empty() {
            let labels = json!({ "metadata": { "labels": labels } });
            self.api.patch(name, &PatchParams::default(), &Patch::Merge(&labels)).await.unwrap();
        }
    }

    /// As if it had never been.
    pub(crate) async fn lose(&self, name: &str) {
        self.api.delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// While held, members go on as they are, whatever the map says.
    pub(crate) fn hold(&self, held: bool) {
        *self.shared.held.lock() = held;
    }

    /// Sets what the slots do, in records a second.
    pub(crate) fn load(&self, load: impl Fn(u32) -> f64) {
        *self.shared.loads.lock() = (0..4_096).map(|slot| (slot, load(slot))).collect();
    }

    /// Connections of each member.
    pub(crate) fn connections(&self, each: u64) {
        *self.shared.connections.lock() = each;
    }

    /// Connections of one of them.
    pub(crate) fn connections_of(&self, name: &str, connections: u64) {
        self.shared.connections_of.lock().insert(name.to_owned(), connections);
    }

    /// The placement, when it is as asked for.
    pub(crate) async fn when(&self, what: &str, fits: impl Fn(&GoChatPlacement) -> bool) -> GoChatPlacement {
        let name = format!("{}-{}", self.cluster, self.workload);
        eventually(what, || async {
            let placement = self.placements.get(&name).await.map_err(|error| error.to_string())?;
            if fits(&placement) {
                Ok(placement)
            } else {
                Err(format!("{:?} {:?}", placement.spec, placement.status))
            }
        })
        .await
    }

    /// The first map, and that all members obey it.
    pub(crate) async fn dealt(&self) -> GoChatPlacement {
        self.when("slots are dealt and taken", |placement| {
            let settled = placement.status.as_ref().is_some_and(|status| status.moving == 0);
            settled && !placement.spec.owners.is_empty()
        })
        .await
    }
}

/// How many slots each member has.
pub(crate) fn shares(map: &GoChatPlacementSpec) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for owner in &map.owners {
        *shares.entry(map.members[usize::from(*owner)].clone()).or_default() += 1;
    }
    shares
}

/// Those that the map gives to a member.
pub(crate) fn slots_of(map: &GoChatPlacementSpec, member: &str) -> Vec<u32> {
    let owned = (0u32..).zip(&map.owners).filter(|(_, owner)| map.members[usize::from(**owner)] == member);
    owned.map(|(slot, _)| slot).collect()
}

async fn follow(placements: Api<GoChatPlacement>, name: String, shared: Arc<Shared>) {
    loop {
        if let Ok(Some(placement)) = placements.get_opt(&name).await
            && !*shared.held.lock()
        {
            *shared.obeyed.lock() = placement.spec;
        }
        tokio::time::sleep(EVERY).await;
    }
}

struct Member {
    name: String,
    shared: Arc<Shared>,
}

fn report(name: &str, shared: &Shared) -> LoadReport {
    let map = shared.obeyed.lock().clone();
    let loads = shared.loads.lock();
    let own = shared.connections_of.lock().get(name).copied();
    let load = |slot: &u32| loads.get(slot).copied().unwrap_or_default();
    let slots = slots_of(&map, name).into_iter();
    let slots: Vec<_> =
        slots.map(|slot| SlotLoad { slot, records_per_second: load(&slot), ..SlotLoad::default() }).collect();
    LoadReport {
        member: name.to_owned(),
        epoch: map.epoch.unsigned_abs(),
        messages_per_second: slots.iter().map(|slot| slot.records_per_second).sum(),
        slots,
        connections: own.unwrap_or(*shared.connections.lock()),
        ..LoadReport::default()
    }
}

#[async_trait]
impl Operations for Member {
    type WatchLoadStream = BoxStream<'static, Result<LoadReport, Status>>;
    type DrainStream = BoxStream<'static, Result<DrainProgress, Status>>;

    async fn watch_load(
        &self,
        _: Request<WatchLoadRequest>,
    ) -> Result<Response<Self::WatchLoadStream>, Status> {
        let state = (self.name.clone(), Arc::clone(&self.shared), tokio::time::interval(EVERY));
        let reports = stream::unfold(state, |(name, shared, mut ticks)| async move {
            ticks.tick().await;
            Some((Ok(report(&name, &shared)), (name, shared, ticks)))
        });
        Ok(Response::new(reports.boxed()))
    }

    async fn drain(&self, _: Request<DrainRequest>) -> Result<Response<Self::DrainStream>, Status> {
        Err(Status::unimplemented("these members are not drained"))
    }
}
