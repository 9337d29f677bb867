//! What the tests against a real API server share: one control plane a test program, a namespace a test, an operator as a task,
//! and somebody who plays the kubelets.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

pub mod kubelet;

use std::fmt::Debug;
use std::future::Future;
use std::time::{Duration, Instant, SystemTime};

use gochat_chassis::{Health, Shutdown};
use gochat_crds::GoChatCluster;
use gochat_engines::{Engine, Kubernetes, Request};
use gochat_operator::client;
use gochat_operator::leader::LeaderConfig;
use gochat_operator::run::{self, Settings};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;

static INSTALLED: OnceCell<()> = OnceCell::const_new();

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A namespace of the shared control plane.
pub struct World {
    pub kubernetes: &'static Kubernetes,
    pub client: Client,
    pub namespace: String,
}

impl World {
    /// `None` where there is no Kubernetes: skipped loudly.
    pub async fn new(test: &str) -> Option<Self> {
        if gochat_engines::missing(test, &[Engine::Kubernetes]) {
            return None;
        }
        let kubernetes = Kubernetes::shared().await.unwrap();
        INSTALLED.get_or_init(|| async { install(kubernetes).await }).await;
        let client = test_client(kubernetes).await;
        let namespace = test.replace('_', "-").chars().take(50).collect::<String>();
        let namespace = namespace.trim_end_matches('-').to_owned();
        let api: Api<Namespace> = Api::all(client.clone());
        let meta = ObjectMeta { name: Some(namespace.clone()), ..ObjectMeta::default() };
        api.create(&PostParams::default(), &Namespace { metadata: meta, ..Namespace::default() })
            .await
            .unwrap();
        Some(Self { kubernetes, client, namespace })
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The secrets that the sample refers to.
    pub async fn stores(&self, cluster: &str) {
        for (name, url) in [("mysql", "mysql://a:b@mysql:3306/chat"), ("redis", "redis://redis:6379")] {
            let secret: Secret = serde_json::from_value(json!({
                "metadata": { "name": format!("{cluster}-{name}") }, "stringData": { "url": url },
            }))
            .unwrap();
            self.api().create(&PostParams::default(), &secret).await.unwrap();
        }
    }

    /// Applies the sample as its author would, changed a little.
    pub async fn apply(&self, name: &str, bootstrap: &str, change: impl FnOnce(&mut Value)) -> GoChatCluster {
        let mut value = sample(name, bootstrap);
        change(&mut value);
        let params = PatchParams::apply("the-author").force();
        self.api().patch(name, &params, &Patch::Apply(&value)).await.unwrap()
    }

    /// An operator of this namespace only.
    pub async fn operator(&self) -> Operator {
        self.operator_with(|_| {}).await
    }

    pub async fn operator_with(&self, change: impl FnOnce(&mut Settings)) -> Operator {
        let mut settings = Settings {
            namespaces: vec![self.namespace.clone()],
            leader: LeaderConfig { enabled: false, ..LeaderConfig::default() },
            ..Settings::default()
        };
        change(&mut settings);
        Operator::start(self.kubernetes.kubeconfig(), settings).await
    }

    /// Requests for a change that operators have sent for this namespace since a time, Leases apart.
    pub fn writes(&self, since: SystemTime) -> Vec<Request> {
        let all = self.kubernetes.requests().unwrap().into_iter();
        all.filter(|request| {
            request.at >= since
                && request.is_write()
                && request.resource != "leases"
                && request.user_agent.starts_with("gochat-operator/")
                && request.namespace.as_deref() == Some(&self.namespace)
        })
        .collect()
    }

    /// Until operators have written nothing for a while.
    pub async fn quiet(&self, span: Duration) {
        eventually("the operator is quiet", || async {
            let writes = self.writes(SystemTime::now() - span);
            if writes.is_empty() { Ok(()) } else { Err(writes.len()) }
        })
        .await;
    }

    /// Until there is such an object.
    pub async fn there<K>(&self, name: &str) -> K
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
    {
        let api = self.api::<K>();
        eventually(&format!("{} {name}", K::kind(&())), || api.get(name)).await
    }

    pub async fn cluster(&self, name: &str) -> GoChatCluster {
        self.api().get(name).await.unwrap()
    }

    /// Until a condition of a cluster has a status (and a reason, where one is given).
    pub async fn condition(
        &self,
        cluster: &str,
        kind: &str,
        status: &str,
        reason: Option<&str>,
    ) -> GoChatCluster {
        eventually(&format!("{cluster}: {kind} is {status} {reason:?}"), || async {
            let found = self.cluster(cluster).await;
            let conditions = found.status.clone().unwrap_or_default().conditions;
            let fits = conditions.iter().any(|condition| {
                condition.type_ == kind
                    && condition.status == status
                    && reason.is_none_or(|reason| condition.reason == reason)
            });
            if fits { Ok(found) } else { Err(conditions) }
        })
        .await
    }
}

pub fn sample(name: &str, bootstrap: &str) -> Value {
    let mut value: Value = serde_saphyr::from_str(gochat_crds::SAMPLE).unwrap();
    value["metadata"]["name"] = name.into();
    value["spec"]["kafka"]["bootstrap"] = bootstrap.into();
    value["spec"]["mysql"]["secret"]["name"] = format!("{name}-mysql").into();
    value["spec"]["redis"]["secret"]["name"] = format!("{name}-redis").into();
    value
}

/// A Kafka that nobody is at.
pub const NOBODY: &str = "127.0.0.1:9";

/// The definitions, as their files have them.
pub async fn install(kubernetes: &Kubernetes) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../crds/yaml");
    let run = |args: Vec<String>| {
        let mut kubectl = tokio::process::Command::from(kubernetes.kubectl());
        kubectl.args(args);
        async move {
            let output = kubectl.output().await.unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    };
    run(["apply", "--server-side", "-f", folder].map(str::to_owned).into()).await;
    for definition in gochat_crds::definitions() {
        let name = format!("crd/{}", definition.metadata.name.unwrap());
        run(["wait", "--for=condition=Established", "--timeout=60s", &name].map(str::to_owned).into()).await;
    }
}

/// A client that says it is the test.
pub async fn test_client(kubernetes: &Kubernetes) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = client::config(kubernetes.kubeconfig()).await.unwrap();
    config.headers = vec![("user-agent".parse().unwrap(), "the-test/1".parse().unwrap())];
    Client::try_from(config).unwrap()
}

/// An operator that runs as a task.
pub struct Operator {
    pub health: Health,
    shutdown: Shutdown,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Operator {
    pub async fn start(kubeconfig: &std::path::Path, settings: Settings) -> Self {
        let config = client::config(kubeconfig).await.unwrap();
        let (health, shutdown) = (Health::new(), Shutdown::new());
        let task = tokio::spawn(run::operate(config, settings, health.clone(), shutdown.clone()));
        Self { health, shutdown, task }
    }

    /// As a pod is stopped.
    pub async fn stop(self) {
        self.shutdown.begin();
        self.task.await.unwrap().unwrap();
    }

    /// As a node fails.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// Polls until it is so, or patience is over.
pub async fn eventually<T, E: Debug, F: Future<Output = Result<T, E>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let begun = Instant::now();
    loop {
        match look().await {
            Ok(value) => return value,
            Err(error) if begun.elapsed() > PATIENCE => panic!("{what}: not within {PATIENCE:?}: {error:#?}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
