//! The flags and files of each program.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::programs::Programs;
use crate::Etcd;
use crate::probe::Probe;
use crate::process::text;
use crate::server::Launch;

/// The files, in the control plane's folder.
pub(super) const ADMIN: &str = "kubeconfig";
pub(super) const AUDIT_LOG: &str = "audit.log";
const AUDIT_POLICY: &str = "audit.yaml";
const TOKENS: &str = "tokens.csv";
const CERTIFICATE: &str = "certs/apiserver.crt";
/// The API server makes this key with its certificate, so it serves for the ServiceAccounts' tokens too.
const KEY: &str = "certs/apiserver.key";
const MANAGER: &str = "kube-controller-manager.kubeconfig";
const SCHEDULER: &str = "kube-scheduler.kubeconfig";

/// Each program is who it would be in a real cluster, so that RBAC and the audit log mean the same.
const USERS: [(&str, &str, &str); 3] = [
    (ADMIN, "admin", "system:masters"),
    (MANAGER, "system:kube-controller-manager", ""),
    (SCHEDULER, "system:kube-scheduler", ""),
];

/// What Kubernetes' own programs ask is left out: it is most of the log, and nobody's question here.
const POLICY: &str = r#"apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    users: ["system:apiserver", "system:kube-controller-manager", "system:kube-scheduler"]
  - level: None
    userGroups: ["system:serviceaccounts:kube-system"]
  - level: Metadata
"#;

/// Writes what the programs read.
fn write_files(folder: &Path, port: u16) -> Result<()> {
    let mut tokens = String::new();
    for (file, user, group) in USERS {
        // Whoever can read the folder may have the token; loopback and a temporary folder are all the protection it needs.
        let token = format!("token-{user}");
        writeln!(tokens, "{token},{user},{user},{group}")?;
        write_kubeconfig(&folder.join(file), port, &token)?;
    }
    write(&folder.join(TOKENS), &tokens)?;
    write(&folder.join(AUDIT_POLICY), POLICY)
}

/// Writes a kubeconfig for the bearer of the token.
pub(super) fn write_kubeconfig(path: &Path, port: u16, token: &str) -> Result<()> {
    let folder = path.parent().context("a file is in a folder")?;
    let certificate = text(folder.join(CERTIFICATE));
    let content = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {
            "server": format!("https://127.0.0.1:{port}"), "certificate-authority": certificate,
        }}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    });
    // JSON is YAML.
    write(path, &format!("{content:#}\n"))
}

pub(super) fn api_server(
    programs: &Programs,
    folder: &Path,
    port: u16,
    etcd: &Etcd,
    audit: bool,
) -> Result<Launch> {
    write_files(folder, port)?;
    let file = |name: &str| text(folder.join(name));
    let mut arguments = vec![
        programs.path("kube-apiserver"),
        format!("--etcd-servers={}", etcd.url()),
        format!("--secure-port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        // The `kubernetes` Service may not point to loopback, and nobody would follow it.
        "--endpoint-reconciler-type=none".to_owned(),
        // Of the range for benchmarks (RFC 2544): no host that a test means to reach is there.
        "--service-cluster-ip-range=198.19.0.0/16".to_owned(),
        format!("--cert-dir={}", file("certs")),
        format!("--token-auth-file={}", file(TOKENS)),
        "--authorization-mode=RBAC".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", file(KEY)),
        format!("--service-account-signing-key-file={}", file(KEY)),
    ];
    if audit {
        arguments.push(format!("--audit-policy-file={}", file(AUDIT_POLICY)));
        arguments.push(format!("--audit-log-path={}", file(AUDIT_LOG)));
        // One file: what is in a rotated one would not be counted. In MB.
        arguments.push("--audit-log-maxsize=10000".to_owned());
    }
    let ask = |question: &[&str]| {
        let kubeconfig = format!("--kubeconfig={}", file(ADMIN));
        let arguments = question.iter().copied().chain([kubeconfig.as_str()]).map(str::to_owned).collect();
        (programs.path("kubectl"), arguments)
    };
    // The namespace is made a moment after the server calls itself ready.
    let probe = Probe::Programs(vec![ask(&["get", "--raw=/readyz"]), ask(&["get", "namespace", "default"])]);
    Ok(Launch { arguments, probe })
}

pub(super) fn controller_manager(programs: &Programs, folder: &Path) -> Vec<String> {
    let file = |name: &str| text(folder.join(name));
    vec![
        programs.path("kube-controller-manager"),
        format!("--kubeconfig={}", file(MANAGER)),
        format!("--service-account-private-key-file={}", file(KEY)),
        format!("--root-ca-file={}", file(CERTIFICATE)),
        "--use-service-account-credentials=true".to_owned(),
        "--leader-elect=false".to_owned(),
        // It serves nobody: no port.
        "--secure-port=0".to_owned(),
        // A test that makes thousands of objects measures its subject, not this client's limit of 20 requests a second.
        "--kube-api-qps=500".to_owned(),
        "--kube-api-burst=1000".to_owned(),
    ]
}

pub(super) fn scheduler(programs: &Programs, folder: &Path) -> Vec<String> {
    vec![
        programs.path("kube-scheduler"),
        format!("--kubeconfig={}", text(folder.join(SCHEDULER))),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
    ]
}

fn write(path: &Path, content: &str) -> Result<()> {
    fs::write(path, content).with_context(|| format!("write {}", path.display()))
}
