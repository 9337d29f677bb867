//! How many are connected, whenever that changes, for whoever watches the terminal.

use std::time::Duration;

use gochat_chassis::PrometheusHandle;

use crate::say;

/// Between two looks at the number of connections.
const LOOK: Duration = Duration::from_secs(5);

/// Tells for ever.
pub(super) async fn tell(metrics: &PrometheusHandle) {
    let mut before = 0;
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = connected(&metrics.render());
        if now != before {
            say::line(&format!("{now} connections"));
            before = now;
        }
    }
}

/// The sum of the gateways' connections, as the metrics tell it.
fn connected(rendered: &str) -> u64 {
    let values = rendered
        .lines()
        .filter(|line| {
            line.starts_with("gochat_gateway_connections{") || line.starts_with("gochat_gateway_connections ")
        })
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a gauge of things that are there"
    )]
    let sum = values.sum::<f64>().max(0.0) as u64;
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_summed_over_the_gateways() {
        let text = "# TYPE gochat_gateway_connections gauge\n\
                    gochat_gateway_connections{member=\"gateway-0\"} 3\n\
                    gochat_gateway_connections{member=\"gateway-1\"} 2\n\
                    gochat_gateway_connections_total 99\n";
        assert_eq!(connected(text), 5);
    }
}
