//! Who the pods are at the API server, and what they may do there: find each other and hold what they own.

use gochat_crds::ScaledWorkload;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};

use super::objects::{Objects, named};
use crate::cluster::validate::ValidCluster;
use crate::names;

pub(super) fn add(objects: &mut Objects, cluster: &ValidCluster) {
    for workload in ScaledWorkload::ALL {
        objects.add(
            workload.as_str(),
            ServiceAccount {
                metadata: named(names::workload(&cluster.name, workload)),
                // A pod that needs the token says so.
                automount_service_account_token: Some(false),
                ..ServiceAccount::default()
            },
        );
    }
    let name = format!("{}-member", cluster.name);
    objects.add_shared(Role { metadata: named(&name), rules: Some(rules()) });
    let subject = |workload| Subject {
        kind: "ServiceAccount".to_owned(),
        name: names::workload(&cluster.name, workload),
        namespace: Some(cluster.namespace.clone()),
        api_group: None,
    };
    objects.add_shared(RoleBinding {
        metadata: named(&name),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "Role".to_owned(),
            name,
        },
        subjects: Some(ScaledWorkload::ALL.into_iter().map(subject).collect()),
    });
}

/// What `gochat-coord` does on Kubernetes. `create` and `list` know no names, so the rules can't name objects.
fn rules() -> Vec<PolicyRule> {
    let rule = |group: &str, resource: &str, verbs: &[&str]| PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(vec![resource.to_owned()]),
        verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        ..PolicyRule::default()
    };
    vec![
        rule("coordination.k8s.io", "leases", &["get", "list", "watch", "create", "patch", "delete"]),
        rule("gochat.io", "gochatplacements", &["get", "list", "watch"]),
    ]
}
