//! A real API server judges what is built: every object's schema, and every pod's restriction.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on fails")]

use gochat_crds::GoChatCluster;
use gochat_engines::{Engine, Kubernetes};
use gochat_operator::cluster::dereference::Facts;
use gochat_operator::cluster::desired;
use gochat_operator::cluster::validate::Defaults;
use k8s_openapi::api::core::v1::{Namespace, Pod, PodTemplateSpec, ServiceAccount};
use kube::api::{Api, ApiResource, DynamicObject, ObjectMeta, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::{Client, Config, ResourceExt as _};

const NAMESPACE: &str = "restricted";
const FULL: &str = include_str!("../../crds/samples/full.yaml");

async fn client(kubernetes: &Kubernetes) -> Client {
    let file = Kubeconfig::read_from(kubernetes.kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

fn api_of(client: &Client, object: &DynamicObject) -> Api<DynamicObject> {
    let types = object.types.as_ref().unwrap();
    let gvk = GroupVersionKind::try_from(types).unwrap();
    Api::namespaced_with(client.clone(), NAMESPACE, &ApiResource::from_gvk(&gvk))
}

#[tokio::test]
async fn an_api_server_takes_every_object_and_a_restricted_namespace_every_pod() {
    if gochat_engines::missing("admission", &[Engine::Kubernetes]) {
        return;
    }
    let kubernetes = Kubernetes::start().await.unwrap();
    let client = client(&kubernetes).await;
    let labels = [
        ("pod-security.kubernetes.io/enforce".to_owned(), "restricted".to_owned()),
        ("pod-security.kubernetes.io/warn".to_owned(), "restricted".to_owned()),
    ];
    let metadata =
        ObjectMeta { name: Some(NAMESPACE.to_owned()), labels: Some(labels.into()), ..ObjectMeta::default() };
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.create(&PostParams::default(), &Namespace { metadata, ..Namespace::default() }).await.unwrap();

    let mut cluster: GoChatCluster = gochat_crds::file::read(FULL, "full.yaml").unwrap();
    cluster.metadata.namespace = Some(NAMESPACE.to_owned());
    // A class that the API server does not know is its cluster's business, and not this test's.
    cluster.spec.gateway.pod.priority_class_name = None;
    let defaults =
        Defaults { image: "gochat".into(), version: "1".into(), namespace: Some("gochat-system".into()) };
    let objects = desired(&cluster, &Facts::default(), &defaults).unwrap().objects;

    let params = PatchParams::apply("test").validation_strict();
    let mut pods = 0;
    for object in objects.in_order() {
        let types = object.types.clone().unwrap();
        if types.api_version.starts_with("gochat.io/") {
            // The CRDs have a test of their own, and are not there.
            continue;
        }
        let api = api_of(&client, object);
        let applied = api.patch(&object.name_any(), &params, &Patch::Apply(object)).await;
        applied.unwrap_or_else(|error| panic!("{} {}: {error}", types.kind, object.name_any()));
        if let Some(template) = object.data.pointer("/spec/template") {
            pod(&client, &object.name_any(), template.clone()).await;
            pods += 1;
        }
    }
    assert_eq!(pods, 5);
}

/// Makes a pod as a ReplicaSet would: Deployments themselves are taken with any pods.
async fn pod(client: &Client, name: &str, template: serde_json::Value) {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), NAMESPACE);
    let default = ObjectMeta { name: Some("default".to_owned()), ..ObjectMeta::default() };
    let account = ServiceAccount { metadata: default, ..ServiceAccount::default() };
    // A controller makes it; here it may not have been quick enough.
    let _ = accounts.create(&PostParams::default(), &account).await;
    let template: PodTemplateSpec = serde_json::from_value(template).unwrap();
    let mut metadata = template.metadata.unwrap();
    metadata.name = Some(format!("{name}-test"));
    let pod = Pod { metadata, spec: template.spec, status: None };
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let params = PostParams { dry_run: true, ..PostParams::default() };
    pods.create(&params, &pod).await.unwrap_or_else(|error| panic!("pod of {name}: {error}"));
}
