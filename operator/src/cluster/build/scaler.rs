//! The GoChatScalers.

use gochat_crds::{GoChatScaler, GoChatScalerSpec, ScaledWorkload};

use super::objects::Objects;
use crate::cluster::validate::ValidCluster;
use crate::names;

pub(super) fn add(objects: &mut Objects, cluster: &ValidCluster) {
    for workload in ScaledWorkload::ALL {
        let spec = GoChatScalerSpec {
            cluster: cluster.name.clone(),
            workload,
            replicas: cluster.workloads.get(workload).scale.scaler_replicas(),
            // The user's.
            mode: None,
        };
        objects.add(workload.as_str(), GoChatScaler::new(&names::workload(&cluster.name, workload), spec));
    }
}
