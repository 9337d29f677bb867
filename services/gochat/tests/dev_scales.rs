//! `gochat dev` under the planner and the autoscaler: members come and go with the load, and nothing accepted is lost.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

mod support;

use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use support::{BINARY, Dev};

const CLUSTER: &str = "
apiVersion: gochat.io/v1alpha1
kind: GoChatCluster
metadata: { name: grows }
spec:
  gateway:
    shards: 16
    autoscaling:
      min: 1
      max: 3
      targets: { connections: 5 }
      behavior:
        scaleUp: { panicPercent: 1000 }
        scaleDown: { stabilizationWindow: 5s, stepPods: 4 }
  kafka: { bootstrap: 'kafka:9092' }
  mysql: { secret: { name: none } }
";

/// Exits well only where its ledger is clean.
fn bench(target: &str, prefix: &str, pairs: &str, seconds: u32) -> Child {
    Command::new(BINARY)
        .args(["bench", "--target", target, "--prefix", prefix, "--pairs", pairs, "--rate", "40", "--json"])
        .args(["--duration", &format!("{seconds}s")])
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn gateways_come_with_connections_and_go_with_them_and_the_ledger_is_clean() {
    let mut file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    file.write_all(CLUSTER.as_bytes()).unwrap();
    let mut dev = Dev::start(&["--ephemeral", "--file", file.path().to_str().unwrap()]);
    let dealt = dev.line_with("logic epoch 1");
    assert!(dealt.ends_with("16 slots dealt to 2 members; now logic-0 8, logic-1 8"), "{dealt}");
    let page = dev.address_after("chat page");

    let mut many = bench(&page, "many", "6", 25);
    let up = dev.line_with("gateway 1 → ");
    assert!(up.contains("connections / 5 per pod × 1.2 headroom"), "{up}");
    // Half of these are with a gateway that will go.
    let second = dev.address_after("clients may go to");
    let mut few = bench(&format!("{page},{second}"), "few", "1", 180);
    let spread = dev.line_with("gateway-2 ");
    assert!(spread.contains("now gateway-0 ") && spread.contains(", gateway-1 "), "{spread}");
    assert!(many.wait().unwrap().success(), "accepted messages were lost when slots moved to new gateways");

    dev.line_with("gateway 3 → ");
    let last = dev.line_with("now gateway-0 16");
    assert!(last.contains("drains"), "{last}");
    let gone = dev.line_with("gateway-1 has gone");
    assert!(few.try_wait().unwrap().is_none(), "it was under load until {gone}");
    // As Ctrl-C does: it waits for what is under way, and gives its verdict.
    assert!(Command::new("kill").args(["-INT", &few.id().to_string()]).status().unwrap().success());
    assert!(few.wait().unwrap().success(), "accepted messages were lost when gateways went");
    assert_eq!(dev.interrupt().0, Some(0));
}
