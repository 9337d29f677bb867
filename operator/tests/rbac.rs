//! What the operator may do is what it does: its RBAC, derived from the API server's audit log.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use gochat_crds::{GoChatCluster, GoChatPlacement, GoChatRebalance};
use gochat_engines::Request;
use gochat_operator::children::KINDS;
use gochat_operator::names;
use gochat_operator::run::Settings;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role};
use kube::Resource as _;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use support::kubelet::Kubelet;
use support::{NOBODY, Operator, World, eventually};

const RBAC: &str = include_str!("../deploy/rbac.yaml");
const SYSTEM: &str = "gochat-system";
const ACCOUNT: &str = "gochat-operator";
const KEYS: &str = "sample-signing-keys";

/// Group, resource (with its subresource), verb.
type Right = (String, String, String);

/// What no request shows: asked by an admission plugin that is off here.
fn by_admission() -> Right {
    ("gochat.io".into(), "gochatclusters/finalizers".into(), "update".into())
}

fn rights(rules: &[PolicyRule]) -> BTreeSet<Right> {
    let list = |names: &Option<Vec<String>>| names.clone().unwrap_or_default();
    let mut all = BTreeSet::new();
    for rule in rules {
        for group in list(&rule.api_groups) {
            for resource in list(&rule.resources) {
                all.extend(rule.verbs.iter().map(|verb| (group.clone(), resource.clone(), verb.clone())));
            }
        }
    }
    all
}

fn given() -> BTreeSet<Right> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(RBAC).unwrap();
    let rules = documents
        .iter()
        .filter_map(|document| document.get("rules"))
        .flat_map(|rules| rules.as_array().unwrap());
    let rules: Vec<PolicyRule> = rules.map(|rule| serde_json::from_value(rule.clone()).unwrap()).collect();
    rights(&rules)
}

fn asked(requests: &[Request]) -> BTreeSet<Right> {
    let mut all = BTreeSet::new();
    for request in requests.iter().filter(|request| !request.resource.is_empty()) {
        let resource = match &request.subresource {
            Some(subresource) => format!("{}/{subresource}", request.resource),
            None => request.resource.clone(),
        };
        let right = |verb: &str| (request.group.clone(), resource.clone(), verb.to_owned());
        all.insert(right(&request.verb));
        // An apply of what was not there is asked for both.
        if request.verb == "patch" && request.code == 201 {
            all.insert(right("create"));
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_may_do_what_it_does_and_nothing_else() {
    let Some(world) = World::new("rbac").await else { return };
    optional_kinds(&world).await;
    world
        .kubernetes
        .apply(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {SYSTEM}}}}}\n---\n{RBAC}"))
        .unwrap();
    let kubeconfig = world.kubernetes.kubeconfig_for(SYSTEM, ACCOUNT).unwrap();
    let mut settings = Settings { deletion_deadline: Duration::from_secs(2), ..Settings::default() };
    SYSTEM.clone_into(&mut settings.leader.namespace);
    settings.leader.retry = Duration::from_millis(500);
    let operator = Operator::start(&kubeconfig, settings).await;

    let _kubelet = Kubelet::start(world.client.clone(), &world.namespace);
    world.stores("sample").await;
    let change = |value: &mut Value| {
        value["spec"]["deletion"] = json!({ "topics": "Delete" });
        value["spec"]["auth"] = json!({ "keyRotation": "1h" });
        value["spec"]["gateway"]["httpRoute"] =
            json!({ "parentRefs": [{ "name": "public" }], "hostnames": ["chat.example.com"] });
    };
    world.apply("sample", NOBODY, change).await;
    world.there::<Deployment>("sample-gateway").await;
    // As if the key were some years old: the next one is due.
    let secrets = world.api::<Secret>();
    let keys = async || {
        String::from_utf8(world.there::<Secret>(KEYS).await.data.unwrap()[names::KEYS].0.clone()).unwrap()
    };
    let (_, value) =
        keys().await.split_once(':').map(|(id, value)| (id.to_owned(), value.to_owned())).unwrap();
    let old = json!({ "stringData": { names::KEYS: format!("20200101T000000Z:{value}") } });
    secrets.patch(KEYS, &PatchParams::default(), &Patch::Merge(&old)).await.unwrap();
    eventually("a second key", || async {
        if keys().await.lines().count() > 1 { Ok(()) } else { Err("one") }
    })
    .await;
    for workload in ["gateway", "logic", "task"] {
        world.there::<GoChatPlacement>(&format!("sample-{workload}")).await;
    }
    let ask = json!({
        "apiVersion": "gochat.io/v1alpha1", "kind": "GoChatRebalance", "metadata": { "name": "even-out" },
        "spec": { "cluster": "sample", "workload": "gateway", "dryRun": true },
    });
    let rebalances = world.api::<GoChatRebalance>();
    rebalances.patch("even-out", &PatchParams::apply("the-author"), &Patch::Apply(&ask)).await.unwrap();
    eventually("the rebalance is answered", || async {
        let status = rebalances.get("even-out").await.unwrap().status;
        status.ok_or(()).map(drop)
    })
    .await;
    // Fewer pods, and so some that are chosen.
    world.condition("sample", "Ready", "True", None).await;
    let by_ingress = |value: &mut Value| {
        value["spec"]["deletion"] = json!({ "topics": "Delete" });
        value["spec"]["gateway"]["replicas"] = 1.into();
        value["spec"]["gateway"]["ingress"] = json!({ "host": "chat.example.com" });
    };
    world.apply("sample", NOBODY, by_ingress).await;
    world.there::<Ingress>("sample-gateway").await;
    orphans(&world).await;
    let roles = world.api::<Role>().list(&ListParams::default()).await.unwrap().items;
    world.api::<GoChatCluster>().delete("sample", &DeleteParams::default()).await.unwrap();
    eventually("it is gone", || async {
        let found = world.api::<GoChatCluster>().get_opt("sample").await.unwrap();
        found.map_or(Ok(()), |found| Err(found.metadata.finalizers))
    })
    .await;
    operator.stop().await;
    let lease: Api<Lease> = Api::namespaced(world.client.clone(), SYSTEM);
    assert_eq!(
        lease.get("gochat-operator").await.unwrap().spec.unwrap().holder_identity.as_deref(),
        Some("")
    );
    // The log is a moment behind.
    tokio::time::sleep(Duration::from_secs(1)).await;

    let user = format!("system:serviceaccount:{SYSTEM}:{ACCOUNT}");
    let mut requests = world.kubernetes.requests().unwrap();
    requests.retain(|request| request.user == user);
    let refused: Vec<_> = requests.iter().filter(|r| r.code == 403).map(|r| (&r.verb, &r.uri)).collect();
    assert_eq!(refused, [], "asked for and not given");
    let mut needed = asked(&requests);
    needed.extend(roles.iter().flat_map(|role| rights(role.rules.as_deref().unwrap_or_default())));
    needed.insert(by_admission());
    let given = given();
    let missing: Vec<_> = needed.difference(&given).collect();
    let unused: Vec<_> = given.difference(&needed).collect();
    assert_eq!((missing, unused), (vec![], vec![]), "(missing in, and unused of) deploy/rbac.yaml");
}

/// As the Prometheus Operator and the Gateway API would define them, as far as it matters here.
async fn optional_kinds(world: &World) {
    let mut all = Vec::new();
    for kind in KINDS.iter().filter(|kind| kind.optional) {
        let resource = &kind.resource;
        let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
        all.push(json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {
                "name": format!("{}.{}", resource.plural, resource.group),
                "annotations": { "api-approved.kubernetes.io": "unapproved, for a test" },
            },
            "spec": {
                "group": resource.group, "scope": "Namespaced",
                "names": { "kind": kind.kind, "plural": resource.plural, "singular": kind.kind.to_lowercase() },
                "versions": [{ "name": resource.version, "served": true, "storage": true, "schema": { "openAPIV3Schema": schema } }],
            },
        }));
    }
    world.kubernetes.apply(&all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n---\n")).unwrap();
    for kind in KINDS.iter().filter(|kind| kind.optional) {
        let api: Api<DynamicObject> =
            Api::namespaced_with(world.client.clone(), &world.namespace, &kind.resource);
        eventually(kind.kind, || async { api.list(&ListParams::default()).await.map(drop) }).await;
    }
}

/// One object too many of each kind: as an older operator could have left it.
async fn orphans(world: &World) {
    let cluster = world.cluster("sample").await;
    let owner = cluster.controller_owner_ref(&()).unwrap();
    let pod = json!({ "spec": { "restartPolicy": "Never", "containers": [{ "name": "a", "image": "a" }] } });
    let mut always = pod.clone();
    always["spec"]["restartPolicy"] = "Always".into();
    always["metadata"] = json!({ "labels": { "a": "a" } });
    let selector = json!({ "matchLabels": { "a": "a" } });
    for kind in KINDS.iter() {
        let mut object = json!({
            "apiVersion": kind.resource.api_version, "kind": kind.kind,
            "metadata": { "name": "sample-orphan", "labels": names::cluster_labels("sample"), "ownerReferences": [owner] },
        });
        match kind.kind {
            "ServiceAccount" | "ConfigMap" => {}
            "Role" => object["rules"] = json!([]),
            "RoleBinding" => {
                object["roleRef"] = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "sample-orphan" });
            }
            "Service" => object["spec"] = json!({ "ports": [{ "port": 80 }] }),
            "GoChatScaler" => object["spec"] = json!({ "cluster": "sample", "workload": "gateway" }),
            "Job" => object["spec"] = json!({ "template": pod }),
            "Deployment" => object["spec"] = json!({ "selector": selector, "template": always }),
            "PodDisruptionBudget" => object["spec"] = json!({ "selector": selector, "maxUnavailable": 1 }),
            "NetworkPolicy" => object["spec"] = json!({ "podSelector": {} }),
            "Ingress" => {
                object["spec"] =
                    json!({ "defaultBackend": { "service": { "name": "a", "port": { "number": 80 } } } });
            }
            _ => object["spec"] = json!({}),
        }
        let api: Api<DynamicObject> =
            Api::namespaced_with(world.client.clone(), &world.namespace, &kind.resource);
        api.patch("sample-orphan", &PatchParams::apply("an-older-operator"), &Patch::Apply(&object))
            .await
            .unwrap();
    }
    for kind in KINDS.iter() {
        let api: Api<DynamicObject> =
            Api::namespaced_with(world.client.clone(), &world.namespace, &kind.resource);
        eventually(&format!("the {} is deleted", kind.kind), || async {
            let found = api.get_opt("sample-orphan").await.unwrap();
            found.map_or(Ok(()), |found| Err(found.metadata.deletion_timestamp))
        })
        .await;
    }
}
