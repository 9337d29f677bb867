//! Puts the gateway's parts together, and takes them apart in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use gochat_chassis::{Check, Health, Shutdown, grpc};
use gochat_coord::{Coord, Member, Owners};
use gochat_core::{MemberId, Slots, Topics, Workload};
use gochat_member::{Drain, SlotMeter};
use gochat_mq::Mq;
use gochat_proto::gateway::relay_server::RelayServer;
use gochat_proto::ops::operations_server::OperationsServer;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Semaphore, watch};
use tonic::service::Routes;

use crate::backlog::{Backlog, Watcher};
use crate::config::Config;
use crate::drain;
use crate::edge::{Edge, EdgeLimits, heartbeat, presence};
use crate::gateway::{self, Gateway};
use crate::home::consumer::ShardConsumer;
use crate::home::{Home, MAX_RELAY_MESSAGE, Pusher, RelayService};
use crate::http;
use crate::logic::Logic;
use crate::metrics::Metrics;
use crate::ops::GatewayOperations;
use crate::upstream::UpstreamWriter;
use crate::ws::outbox::Bounds;

/// The consumer group of `downstream`.
const BACKLOG: u32 = 16_384;
const GROUP: &str = "gateway";
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// What the gateway works with.
pub struct Deps {
    /// The log.
    pub mq: Mq,
    /// What its topics are called.
    pub topics: Topics,
    /// How many partitions they have.
    pub slots: Slots,
    /// A session of its own: this member's lease.
    pub coord: Coord,
    /// Of the process.
    pub health: Health,
}

/// Runs a gateway until shutdown begins; then empties it and returns.
pub async fn run(config: Config, deps: Deps, shutdown: Shutdown) -> anyhow::Result<()> {
    Bound::bind(config, deps).await?.serve(shutdown).await
}

/// A gateway whose addresses are known and that serves nobody yet.
pub struct Bound {
    config: Config,
    deps: Deps,
    member: MemberId,
    http: TcpListener,
    grpc: TcpListener,
    ready: Check,
}

impl Bound {
    /// Takes the configured addresses.
    pub async fn bind(config: Config, deps: Deps) -> anyhow::Result<Self> {
        let on = |address: SocketAddr| move || format!("gateway: listen on {address}");
        let http = listen_for_clients(config.listen, config.limits.socket_send_bytes)
            .with_context(on(config.listen))?;
        let grpc = TcpListener::bind(config.grpc_listen).await.with_context(on(config.grpc_listen))?;
        let member = gochat_member::member_id(&config.member, Workload::Gateway);
        let ready = deps.health.check("gateway");
        ready.not_ready("not every shard has a home yet");
        Ok(Self { config, deps, member, http, grpc, ready })
    }

    /// Where clients connect.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.http.local_addr()
    }

    /// Serves until shutdown begins; then empties the gateway.
    pub async fn serve(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { config, deps: Deps { mq, topics, slots, coord, .. }, member, http, grpc, ready: check } =
            self;
        let metrics = Arc::new(Metrics::new(member.as_str()));
        let home = Home::new(member.clone(), slots.shards, config.limits.relay_bytes, Arc::clone(&metrics));
        // Things that sockets need outlive the shutdown's beginning: they stop when the sockets are gone.
        let last = Shutdown::new();
        let edge =
            Edge::new(Arc::clone(&home), slots.shards, limits(&config), Arc::clone(&metrics), last.clone());
        let producer = mq.producer().context("gateway: producer")?;
        let backlog = Arc::new(Backlog::new(slots.upstream));
        let watcher = Watcher {
            backlog: Arc::clone(&backlog),
            // Logic's group, which has its name.
            consumer: mq
                .consumer(Workload::Logic.as_str(), &topics.upstream)
                .context("gateway: watch of upstream")?,
            partitions: slots.upstream,
            owners: coord.owners(Workload::Logic, slots.upstream),
            limit: config.limits.upstream_backlog,
            longest: metrics.upstream_backlog.clone(),
        };
        last.spawn("backlog", watcher.run(last.clone()));
        let logic_addresses = gochat_member::addresses(&coord, Workload::Logic, &shutdown);
        let gateway = Arc::new(Gateway {
            upstream: UpstreamWriter {
                producer: producer.clone(),
                topic: topics.upstream.into(),
                partitions: slots.upstream,
                edge: member.to_string(),
                backlog: Arc::clone(&backlog),
            },
            logic: Logic::new(grpc::balanced(logic_addresses.clone(), config.call_timeout)),
            edge: Arc::clone(&edge),
            metrics,
            herd: Mutex::default(),
            sync_turns: Arc::new(Semaphore::new(config.limits.syncs_in_flight)),
            drain_window: Mutex::new(config.drain_window),
            config,
        });

        let me = Member {
            id: member.clone(),
            workload: Workload::Gateway,
            address: gochat_member::advertised(&gateway.config.advertise, grpc.local_addr()?),
            draining: false,
        };
        tracing::info!(%member, http = %http.local_addr()?, relay = me.address, "gateway starts");
        let membership = coord.join(me.clone()).await.context("gateway: join")?;

        let consumer = Arc::new(mq.consumer(GROUP, &topics.downstream).context("gateway: consumer")?);
        let meter = SlotMeter::new(slots.shards);
        let ownership = coord.ownership(Workload::Gateway, slots.shards, member);
        let owners = ownership.owners();
        let pusher = gateway.config.push_enabled.then(|| Pusher {
            producer: producer.clone(),
            topic: topics.task.into(),
            partitions: slots.task,
        });
        let shards = ShardConsumer {
            home: Arc::clone(&home),
            consumer: Arc::clone(&consumer),
            ownership,
            gateways: coord.members(Workload::Gateway),
            pusher,
            meter: meter.clone(),
        };
        let stop_shards = Shutdown::new();
        let shards = tokio::spawn(shards.run(stop_shards.clone()));
        last.spawn("routes", follow(Arc::clone(&edge), Arc::clone(&home), owners, last.clone()));
        last.spawn("ready", ready(Arc::clone(&edge), logic_addresses, check, last.clone()));
        let interval = gateway.config.heartbeat_interval;
        last.spawn("heartbeat", heartbeat::sweep(Arc::clone(&edge), interval, last.clone()));
        last.spawn("presence", presence::tell_of_leavers(Arc::clone(&edge), last.clone()));

        let drain = Drain::new();
        let operations = GatewayOperations::new(
            &gateway,
            &home,
            &coord,
            consumer,
            meter.clone(),
            drain.clone(),
            &shutdown,
        );
        let relay =
            RelayServer::new(RelayService(Arc::clone(&home))).max_decoding_message_size(MAX_RELAY_MESSAGE);
        let routes = Routes::new(relay).add_service(OperationsServer::new(operations));
        let grpc = last.spawn("grpc", grpc::serve(grpc, routes, last.clone()));
        last.spawn("http", http::serve(http, http::router(Arc::clone(&gateway)), last.clone()));

        let mut grpc = std::pin::pin!(grpc);
        tokio::select! {
            // A server that stops because it was told to has not failed.
            biased;
            () = shutdown.wait() => {}
            () = drain.wait() => {}
            stopped = &mut grpc => anyhow::bail!("gateway: gRPC server stopped: {stopped:?}"),
        }
        drain.begin();
        drain::empty(&gateway, &coord, &membership, me, &meter).await;
        shutdown.wait().await;
        stop_shards.begin();
        if shards.await.is_err() {
            tracing::error!("the task that owned the shards panicked");
        }
        drain::hang_up(&edge).await;
        if let Err(error) = producer.flush(FLUSH_TIMEOUT).await {
            tracing::warn!(%error, "not everything is in the log");
        }
        membership.leave().await;
        home.close();
        last.begin();
        last.drain(Duration::from_secs(5)).await;
        tracing::info!("gateway stopped");
        Ok(())
    }
}

fn limits(config: &Config) -> EdgeLimits {
    let limits = &config.limits;
    EdgeLimits {
        connections: limits.connections,
        connections_per_user: limits.connections_per_user,
        outbox: Bounds { bytes: limits.outbox_bytes, full_ms: gateway::millis(limits.outbox_full) },
        user_rate: gateway::rate(limits.user_messages_per_second, limits.burst_seconds),
        sync_spread_ms: gateway::millis(config.sync_spread),
        presence_grace_ms: gateway::millis(config.presence_grace),
    }
}

/// Attaches shards to their homes as owners change.
async fn follow(edge: Arc<Edge>, home: Arc<Home>, mut owners: watch::Receiver<Arc<Owners>>, stop: Shutdown) {
    loop {
        let now = Arc::clone(&owners.borrow_and_update());
        home.set_epoch(now.epoch.0);
        edge.follow(&now);
        tokio::select! {
            changed = owners.changed() => if changed.is_err() { return },
            () = stop.wait() => return,
        }
    }
}

/// Accepted sockets inherit the buffer's size. The backlog is for the moment when all clients of another gateway come.
fn listen_for_clients(address: SocketAddr, send_bytes: u32) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(send_bytes)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Ready when every shard has a home that knows of this edge, and a logic is there. What was ready once stays so: a home that moves or dies
/// costs its users a moment, and taking the sockets' gateway out of the load balancer would cost them more.
async fn ready(edge: Arc<Edge>, mut logic: watch::Receiver<Vec<String>>, check: Check, stop: Shutdown) {
    while !edge.is_attached() {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
            () = stop.wait() => return,
        }
    }
    check.not_ready("no logic is known yet");
    tokio::select! {
        _ = logic.wait_for(|addresses| !addresses.is_empty()) => {}
        () = stop.wait() => return,
    }
    check.ready();
    tracing::info!(member = %edge.member, "gateway is ready");
}
