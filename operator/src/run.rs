//! `gochat-operator run`: the operator as a process, or as a task of one.
//!
//! ```text
//! run        settings, logs, probes ──▶ operate
//! operate    waits for the definitions, then for the lease; leads; gives the lease back
//! lead       everything that only the leader does: watches, controllers, Kafka, the live part, Events
//! ```
//!
//! A leader that loses its lease drops all of `lead`, and is a candidate again: nothing is kept that could be stale.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt as _;
use futures::future::join_all;
use gochat_chassis::{Admin, Health, Shutdown, telemetry};
use gochat_crds::GoChatCluster;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::{self, watcher};
use kube::runtime::{Controller, WatchStreamExt as _, controller, reflector};
use kube::{Client, Config};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::children::{Children, Watches};
use crate::cluster::ClusterKey;
use crate::cluster::leftovers::Leftovers;
use crate::cluster::put_back::PutBack;
use crate::cluster::reconcile::{Context, reconcile, retry};
use crate::events::Events;
use crate::kafka::Kafka;
use crate::leader::{self, Elector, Term};
use crate::live::Live;
use crate::scope::Scope;
use crate::views::Views;
use crate::wakeups::Wakeups;
use crate::{client, definitions, metrics};

pub use crate::settings::{RunArgs, Settings};

/// For what is under way at the end.
const DRAIN: Duration = Duration::from_secs(10);
/// Changes of one cluster within so long are one look.
const DEBOUNCE: Duration = Duration::from_millis(20);
/// How often what is remembered of clusters that are gone is dropped, and what there is is counted.
const SWEEP: Duration = Duration::from_secs(15);

/// Runs until it is told to stop.
pub async fn run(args: RunArgs) -> anyhow::Result<()> {
    let settings = Settings::load(&args)?;
    if args.print_config {
        use std::io::Write as _;
        return std::io::stdout().write_all(settings.print()?.as_bytes()).context("standard output");
    }
    let telemetry = telemetry::init(&settings.telemetry, "gochat-operator")?;
    metrics::describe();
    let (health, shutdown) = (Health::new(), Shutdown::new());
    shutdown.on_signals();
    let listen = settings.admin.listen;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("admin.listen {listen}"))?;
    let admin = Admin::serve(listener, health.clone(), telemetry.metrics(), shutdown.clone());
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "starting");
    let config = client::config(&settings.kubeconfig).await?;
    tokio::select! {
        served = admin => served.context("admin"),
        ended = operate(config, settings, health, shutdown.clone()) => {
            tracing::info!("stopped");
            ended
        }
    }
}

/// Operates until shutdown.
pub async fn operate(
    config: Config,
    settings: Settings,
    health: Health,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    // kube speaks TLS by rustls; where the process has chosen a provider already, it stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let check = health.check("definitions");
    // Reads the definitions and writes the Lease: the only client that is not guarded.
    let own = Client::try_from(config.clone())?;
    tokio::select! {
        () = definitions::wait(&own, &check) => {}
        () = shutdown.wait() => return Ok(()),
    }
    tokio::select! {
        ended = campaign(config, &settings, own.clone(), &shutdown) => ended,
        () = definitions::follow(&own, &check) => Ok(()),
    }
}

/// Leads whenever it can.
async fn campaign(
    config: Config,
    settings: &Settings,
    own: Client,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let identity = leader::identity(&settings.leader);
    if !settings.leader.enabled {
        return lead(config, settings, Term::unlimited(), &identity, shutdown).await;
    }
    let namespace = match settings.leader.namespace.as_str() {
        "" => settings.own_namespace().unwrap_or_else(|| config.default_namespace.clone()),
        given => given.to_owned(),
    };
    let mut elector = Elector::new(own, &namespace, identity.clone(), settings.leader.clone());
    loop {
        tokio::select! {
            () = elector.acquire() => {}
            () = shutdown.wait() => break,
        }
        let term = elector.term();
        tokio::select! {
            ended = lead(config.clone(), settings, term, &identity, shutdown) => {
                elector.release().await;
                return ended;
            }
            _ = elector.hold() => {}
        }
    }
    elector.release().await;
    Ok(())
}

/// What only the leader does; until shutdown, or dropped when the term is over.
async fn lead(
    config: Config,
    settings: &Settings,
    term: Term,
    identity: &str,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let client = client::guarded(config, term.clone())?;
    let scopes = Scope::of(&settings.namespaces);
    // Dropped with this future, and its tasks with it.
    let mut tasks = JoinSet::new();
    let mut telling = JoinSet::new();
    let (events, tell) = Events::new(client.clone(), identity.to_owned());
    telling.spawn(tell);
    let (children, wakeups) = (Children::default(), Wakeups::new(&scopes));
    let watches = Watches::start(&client, &scopes, children.clone(), wakeups.clone(), &mut tasks);
    let kafka = Kafka::start(client.clone(), term, events.clone(), wakeups.clone(), &mut tasks);
    let views = Views::new(wakeups.clone());
    let live = Live::new(client.clone(), events.clone(), views.clone(), kafka.clone());
    tasks.spawn(live.clone().run(scopes.clone()));
    let stop = StopLive(live.clone());
    tokio::select! {
        () = watches.complete() => {}
        () = shutdown.wait() => return Ok(()),
    }
    tracing::info!(children = children.len(), "all that there is was seen");
    let context = Arc::new(Context {
        client: client.clone(),
        defaults: settings.defaults(),
        deletion_deadline: settings.deletion_deadline,
        children,
        watches,
        kafka,
        views,
        live,
        events,
        leftovers: Leftovers::default(),
        put_back: PutBack::default(),
        permits: Semaphore::new(settings.concurrency),
        failures: Mutex::default(),
        terminating: Mutex::default(),
    });
    let (controllers, stores): (Vec<_>, Vec<_>) =
        scopes.iter().map(|scope| control(&client, scope, &wakeups, &context, shutdown)).unzip();
    tasks.spawn(sweep(Arc::clone(&context), stores));
    join_all(controllers).await;
    // What was decided last is told: the recorder ends with its last user, and both of these are.
    tasks.shutdown().await;
    drop((context, stop));
    let _ = tokio::time::timeout(DRAIN, telling.join_all()).await;
    Ok(())
}

/// Ends the live part's tasks, one a cluster, with the term.
struct StopLive(Live);

impl Drop for StopLive {
    fn drop(&mut self) {
        self.0.keep_only(|_| false);
    }
}

/// The controller of one scope, and the clusters that it knows.
fn control(
    client: &Client,
    scope: &Scope,
    wakeups: &Wakeups,
    context: &Arc<Context>,
    shutdown: &Shutdown,
) -> (impl Future<Output = ()> + use<>, Store<GoChatCluster>) {
    let stop = shutdown.clone();
    let (store, writer) = reflector::store();
    let clusters = watcher(scope.api::<GoChatCluster>(client.clone()), watcher::Config::default())
        .default_backoff()
        // Nobody reads them, and they are half of an object.
        .modify(|cluster| cluster.metadata.managed_fields = None)
        .reflect(writer)
        .applied_objects();
    let controller = Controller::for_stream(clusters, store.clone())
        .with_config(controller::Config::default().debounce(DEBOUNCE))
        .reconcile_on(wakeups.stream(scope))
        .graceful_shutdown_on(async move { stop.wait().await });
    let run = controller.run(reconcile, retry, Arc::clone(context)).for_each(|looked| async move {
        if let Err(controller::Error::QueueError(error)) = looked {
            tracing::warn!(%error, "watch of GoChatClusters");
        }
    });
    (run, store)
}

/// Drops what is remembered of clusters that are gone, and counts the others.
async fn sweep(context: Arc<Context>, stores: Vec<Store<GoChatCluster>>) {
    loop {
        let there = |key: &ClusterKey| {
            let reference = ObjectRef::<GoChatCluster>::from(key);
            stores.iter().any(|store| store.get(&reference).is_some())
        };
        context.kafka.keep_only(there);
        context.live.keep_only(there);
        context.watches.keep_only(there);
        context.put_back.keep_only(there);
        context.failures.lock().retain(|key, _| there(key));
        context.terminating.lock().retain(|key, _| there(key));
        let clusters: usize = stores.iter().map(Store::len).sum();
        ::metrics::gauge!("gochat_operator_clusters").set(clusters as f64);
        ::metrics::gauge!("gochat_operator_children").set(context.children.len() as f64);
        let (hottest, unbalanced) = context.views.imbalance().unwrap_or((0.0, 0));
        ::metrics::gauge!("gochat_operator_hottest_ratio").set(hottest);
        ::metrics::gauge!("gochat_operator_unbalanced_clusters").set(unbalanced as f64);
        context.leftovers.clear(&context.client, |key| !there(key) && !context.live.has_pods(key)).await;
        tokio::time::sleep(SWEEP).await;
    }
}
