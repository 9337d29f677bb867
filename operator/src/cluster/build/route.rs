//! How clients come in from outside: an Ingress, or an HTTPRoute of the Gateway API.

use gochat_crds::{HttpRoute, Ingress as WantedIngress, ScaledWorkload};
use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend,
    IngressSpec, IngressTLS, ServiceBackendPort,
};
use serde_json::{Value, json};

use super::objects::{Objects, named};
use crate::cluster::dereference::Capabilities;
use crate::cluster::validate::ValidCluster;
use crate::names;

/// The Gateway API's, since its first release that promised to stay.
const GATEWAY_API: &str = "gateway.networking.k8s.io/v1";

pub(super) fn add(objects: &mut Objects, cluster: &ValidCluster, capabilities: Capabilities) {
    let name = names::workload(&cluster.name, ScaledWorkload::Gateway);
    if let Some(wanted) = &cluster.spec.gateway.ingress {
        objects.add(ScaledWorkload::Gateway.as_str(), ingress(name.clone(), wanted));
    }
    if let Some(wanted) = cluster.spec.gateway.http_route.as_ref().filter(|_| capabilities.http_route) {
        let spec = http_route(&name, wanted);
        objects.add_untyped(GATEWAY_API, "HTTPRoute", name, &spec);
    }
}

fn ingress(name: String, wanted: &WantedIngress) -> Ingress {
    let backend = IngressBackend {
        service: Some(IngressServiceBackend {
            name: name.clone(),
            port: Some(ServiceBackendPort { name: Some(names::HTTP.to_owned()), number: None }),
        }),
        resource: None,
    };
    let mut metadata = named(name);
    metadata.annotations = (!wanted.annotations.is_empty()).then(|| wanted.annotations.clone());
    Ingress {
        metadata,
        spec: Some(IngressSpec {
            ingress_class_name: wanted.class_name.clone(),
            rules: Some(vec![IngressRule {
                host: Some(wanted.host.clone()),
                http: Some(HTTPIngressRuleValue {
                    paths: vec![HTTPIngressPath {
                        path: Some("/".to_owned()),
                        path_type: "Prefix".to_owned(),
                        backend,
                    }],
                }),
            }]),
            tls: wanted.tls_secret.clone().map(|secret| {
                vec![IngressTLS { hosts: Some(vec![wanted.host.clone()]), secret_name: Some(secret) }]
            }),
            default_backend: None,
        }),
        status: None,
    }
}

fn http_route(service: &str, wanted: &HttpRoute) -> Value {
    let parents: Vec<Value> = wanted
        .parent_refs
        .iter()
        .map(|parent| {
            let mut reference = json!({ "name": parent.name });
            let more = [("namespace", &parent.namespace), ("sectionName", &parent.section_name)];
            if let Some(map) = reference.as_object_mut() {
                map.extend(
                    more.into_iter()
                        .filter_map(|(key, value)| Some((key.to_owned(), Value::from(value.clone()?)))),
                );
            }
            reference
        })
        .collect();
    json!({
        "hostnames": wanted.hostnames,
        "parentRefs": parents,
        "rules": [{
            "matches": [{ "path": { "type": "PathPrefix", "value": "/" } }],
            "backendRefs": [{ "name": service, "port": names::SERVICE_PORT }],
            // A WebSocket lives as long as its client wants.
            "timeouts": { "request": "0s" },
        }],
    })
}
