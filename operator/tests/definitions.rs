//! An API server that does not know the resources yet.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use gochat_engines::{Engine, Kubernetes, KubernetesOptions};
use gochat_operator::leader::LeaderConfig;
use gochat_operator::run::Settings;
use support::{Operator, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_waits_for_its_definitions_says_so_and_goes_on_by_itself() {
    if gochat_engines::missing("definitions", &[Engine::Kubernetes]) {
        return;
    }
    let options = KubernetesOptions { controllers: false, audit: false };
    let kubernetes = Kubernetes::start_with(options).await.unwrap();
    let leader = LeaderConfig { enabled: false, ..LeaderConfig::default() };
    let operator = Operator::start(kubernetes.kubeconfig(), Settings { leader, ..Settings::default() }).await;
    let reason = |words: &'static str| {
        let health = operator.health.clone();
        move || {
            let failing = health.failing();
            let said = failing.iter().any(|(_, why)| why.contains(words));
            std::future::ready(if said { Ok(()) } else { Err(failing) })
        }
    };
    let fix = "gochat-operator crds | kubectl apply";
    eventually("it says what is missing", reason("there is no definition of gochatclusters.gochat.io")).await;
    eventually("it says what to do", reason(fix)).await;

    let mut older = serde_json::to_value(&gochat_crds::definitions()[0]).unwrap();
    let spec =
        older.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties").unwrap();
    spec.as_object_mut().unwrap().remove("rebalance");
    kubernetes.apply(&older.to_string()).unwrap();
    eventually("it says what is old", reason("it has no spec.rebalance")).await;

    support::install(&kubernetes).await;
    eventually("it goes on", || {
        let failing = operator.health.failing();
        std::future::ready(if failing.is_empty() { Ok(()) } else { Err(failing) })
    })
    .await;
    operator.stop().await;
}
