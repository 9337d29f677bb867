//! The binary as a person runs it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

mod support;

use std::process::Command;
use std::time::Duration;

use support::{BINARY, Dev};

async fn get(url: String) -> (u16, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let answer = reqwest::get(&url).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn dev_starts_serves_and_stops_on_ctrl_c() {
    let mut dev = Dev::start(&["--ephemeral"]);
    let page = dev.address_after("chat page");
    let other = dev.address_after("other gateways");
    let metrics = dev.address_after("metrics");
    let admin = metrics.trim_end_matches("/metrics");

    assert_eq!(get(format!("{admin}/readyz")).await, (200, "ok\n".to_owned()));
    assert_eq!(get(page.clone()).await.0, 200);
    assert_eq!(get(format!("{page}api/v1/me")).await.0, 401);
    assert_eq!(get(format!("{other}api/v1/openapi.json")).await.0, 200);
    assert!(get(metrics.clone()).await.1.contains("gochat_gateway_connections"));

    let (code, took) = dev.interrupt();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(5), "it took {took:?} to stop");
}

#[tokio::test]
async fn accounts_and_tokens_outlive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = ["--data", folder.path().to_str().unwrap()];
    let mut dev = Dev::start(&data);
    let page = dev.address_after("chat page");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::new();
    let ann = serde_json::json!({"name": "ann", "password": "correct horse"});
    let answer = http.post(format!("{page}api/v1/register")).json(&ann).send().await.unwrap();
    let body: serde_json::Value = answer.json().await.unwrap();
    let token =
        body.get("accessToken").and_then(|t| t.as_str()).unwrap_or_else(|| panic!("{body}")).to_owned();
    assert_eq!(dev.interrupt().0, Some(0));

    let mut dev = Dev::start(&data);
    let page = dev.address_after("chat page");
    let me = http.get(format!("{page}api/v1/me")).bearer_auth(token).send().await.unwrap();
    assert_eq!(me.status().as_u16(), 200);
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let said = |args: &[&str]| {
        let output = Command::new(BINARY).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(
        said(&["logic", "--set", "mq.bootstap=x"]),
        "error: unknown setting `mq.bootstap` in --set; did you mean `mq.bootstrap`?\n"
    );
    assert_eq!(
        said(&["gateway", "--set", "gateway.heartbeat_interval=0s"]),
        "error: gateway.heartbeat_interval is 0ns: must be 100ms to 600s\n"
    );
    assert!(said(&["gateway"]).starts_with("error: coord.etcd is empty"));
    assert!(said(&["dev", "--file", "/nowhere.yaml"]).starts_with("error: read /nowhere.yaml: "));
}

#[test]
fn the_settings_in_force_are_printed_without_secrets() {
    let output = Command::new(BINARY)
        .args([
            "logic",
            "--print-config",
            "--set",
            "db.url=mysql://a:hunter2@db/c",
            "--set",
            "logic.auth.secret=hunter3",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && text.contains("upstream_partitions: 16") && !text.contains("hunter"),
        "{text}"
    );
}
