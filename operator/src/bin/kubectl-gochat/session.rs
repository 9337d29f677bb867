//! The connection, by the user's own kubeconfig and rights, and what is found through it.

use anyhow::{Context as _, bail};
use gochat_crds::{GoChatCluster, GoChatPlacement};
use kube::api::{Api, ListParams};
use kube::config::KubeConfigOptions;
use kube::core::NamespaceResourceScope;
use kube::{Client, Config, Resource, ResourceExt};
use serde::Serialize;

use crate::Common;
use crate::output::Format;

/// One run of the plugin.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    cluster: Option<String>,
    pub(crate) format: Format,
}

impl Session {
    pub(crate) async fn open(common: &Common) -> anyhow::Result<Self> {
        let options = KubeConfigOptions { context: common.context.clone(), ..KubeConfigOptions::default() };
        let config = if options.context.is_some() {
            Config::from_kubeconfig(&options).await.context("kubeconfig")?
        } else {
            Config::infer().await.context("no kubeconfig: set KUBECONFIG, or have ~/.kube/config")?
        };
        let namespace = common.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config)?;
        Ok(Self { client, namespace, cluster: common.cluster.clone(), format: common.output })
    }

    /// The objects of a kind, in this namespace.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The cluster that is meant.
    pub(crate) async fn cluster(&self) -> anyhow::Result<GoChatCluster> {
        let api = self.api::<GoChatCluster>();
        if let Some(name) = &self.cluster {
            let found = api.get_opt(name).await.map_err(explain)?;
            return found.with_context(|| format!("no GoChatCluster {name} in namespace {}", self.namespace));
        }
        let mut all = api.list(&ListParams::default()).await.map_err(explain)?.items;
        match (all.pop(), all.len()) {
            (Some(only), 0) => Ok(only),
            (Some(last), _) => {
                let names: Vec<_> = all.iter().chain([&last]).map(ResourceExt::name_any).collect();
                bail!("namespace {} has {}: name one with --cluster", self.namespace, names.join(", "))
            }
            (None, _) => {
                bail!("no GoChatCluster in namespace {}: name another with --namespace", self.namespace)
            }
        }
    }

    /// The placements of a cluster, gateway first.
    pub(crate) async fn placements(&self, cluster: &str) -> anyhow::Result<Vec<GoChatPlacement>> {
        let all = self.api::<GoChatPlacement>().list(&ListParams::default()).await.map_err(explain)?;
        let mut ours: Vec<_> =
            all.items.into_iter().filter(|placement| placement.spec.cluster == cluster).collect();
        ours.sort_by_key(|placement| placement.spec.workload);
        Ok(ours)
    }

    /// Prints `value` as JSON or YAML, or what `table` makes.
    pub(crate) fn print(&self, value: &impl Serialize, table: impl FnOnce() -> String) -> anyhow::Result<()> {
        self.format.print(value, table)
    }
}

/// An error of the API server, in the words of who has to act on it.
pub(crate) fn explain(error: kube::Error) -> anyhow::Error {
    match &error {
        kube::Error::Api(status) if status.code == 404 => {
            anyhow::anyhow!(
                "{}: are GoChat's definitions installed? (gochat-operator crds | kubectl apply --server-side -f -)",
                status.message
            )
        }
        kube::Error::Api(status) => anyhow::anyhow!("{}", status.message),
        _ => anyhow::Error::from(error).context("the API server can't be asked"),
    }
}
