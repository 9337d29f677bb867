#!/usr/bin/env python3
"""Writes the dashboards in observability/dashboards: panels as a table here, Grafana's JSON there.

Usage: generate.py [FOLDER] (by default dashboards, beside this file)
"""

import json
import os
import sys

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
# What a GoChatCluster's PodMonitor labels each series with; where there are no such labels (`gochat dev`), all match.
C = '{namespace=~"$namespace",gochat_io_cluster=~"$cluster"}'
BY = "gochat_io_workload"


def rate(metric: str, by: str = "") -> str:
    grouping = f" by ({by})" if by else ""
    return f"sum{grouping} (rate({metric}{C}[$__rate_interval]))"


def quantiles(metric: str) -> list[tuple[str, str]]:
    return [(f"histogram_quantile({q}, {rate(metric + '_bucket', 'le')})", name) for q, name in ((0.5, "p50"), (0.99, "p99"))]



# (title, unit, what it says, [(query, legend)])
CHAT = [
    ("Connections", [
        ("Connections", "short", "Sockets that are open, by gateway.", [(f"sum by (member) (gochat_gateway_connections{C})", "{{member}}")]),
        ("Online users", "short", "Users with a session. Each has one home; so the sum counts nobody twice.", [(f"sum(gochat_gateway_online_users{C})", "users")]),
        ("Connections closed", "ops", "By reason.", [(rate("gochat_gateway_closes_total", "code"), "{{code}}")]),
    ]),
    ("Messages", [
        ("Messages", "ops", "Taken from clients, durable in the log, stored, queued at sockets.", [
            (rate("gochat_gateway_accepted_total"), "accepted"),
            (rate("gochat_repo_messages_total"), "stored"),
            (rate("gochat_gateway_deliveries_total"), "delivered"),
        ]),
        ("Frames (QPS)", "ops", "All that clients send and get, requests included.", [
            (rate("gochat_gateway_frames_in_total"), "in"),
            (rate("gochat_gateway_frames_out_total"), "out"),
        ]),
        ("Bytes to clients", "Bps", "Encoded frames.", [(rate("gochat_gateway_out_bytes"), "out")]),
    ]),
    ("Latency", [
        ("Accepted", "s", "From the frame to its durability in the log, by one clock.", quantiles("gochat_gateway_accept_seconds")),
        ("Stored", "s", "From the frame to the database: between two machines' clocks, in milliseconds.", quantiles("gochat_logic_stored_seconds")),
        ("Calls of repo", "s", "99 in 100 are faster.", [(f"histogram_quantile(0.99, {rate('gochat_repo_call_seconds_bucket', 'le, call')})", "{{call}}")]),
        ("Durable in Kafka", "s", "From the producer's queue to the broker's acknowledgement.", quantiles("gochat_mq_delivery_seconds")),
    ]),
    ("Errors", [
        ("Refused", "ops", "By the edge (limits, malformed frames; sends that logic has no time for) and by logic (membership, sizes).", [
            (rate("gochat_gateway_refused_total"), "gateway"),
            (rate("gochat_gateway_overloaded_total"), "of those: logic is behind"),
            (rate("gochat_logic_refused_total"), "logic"),
        ]),
        ("Backlog of the busiest logic", "short", "Records before it. Past gateway.limits.upstream_backlog sends into its conversations are refused.", [(f"max(gochat_gateway_upstream_backlog{C})", "records")]),
        ("Failures", "ops", "Of the engines: what can't be made durable, what repo can't do, what Redis does not answer.", [
            (rate("gochat_mq_failed_total"), "Kafka"),
            (rate("gochat_repo_failures_total"), "repo"),
            (rate("gochat_cache_redis_failures_total"), "Redis"),
        ]),
        ("Slow clients", "ops", "Pushes dropped at a full outbox, and clients told to sync.", [
            (rate("gochat_gateway_dropped_pushes_total"), "dropped"),
            (rate("gochat_gateway_sync_required_total"), "sync"),
        ]),
        ("Put aside", "ops", "Records that can't be processed: read the dead-letter topic.", [
            (rate("gochat_logic_dead_letters_total"), "logic"),
            (rate("gochat_task_dead_letters_total"), "task"),
        ]),
    ]),
    ("Groups", [
        ("Large fan-outs", "ops", "Messages to groups above the threshold, which task delivers; and their recipients.", [
            (rate("gochat_task_fan_outs_total"), "messages"),
            (rate("gochat_task_recipients_total"), "recipients"),
        ]),
        ("Fan-out", "s", "From the task record to the last downstream record.", quantiles("gochat_task_fan_out_seconds")),
        ("Today", "short", "Messages, and users who sent one, since midnight UTC.", [
            (f"max(gochat_task_daily_messages{C})", "messages"),
            (f"max(gochat_task_daily_active_senders{C})", "senders"),
        ]),
        ("Busiest groups today", "short", "Messages of the ten busiest, by rank: names stay in the database.", [(f"max by (rank) (gochat_task_daily_group_messages{C})", "{{rank}}")]),
    ]),
]

OPERATOR = [
    ("Health", [
        ("Leaders", "short", "One. Without any, chat systems go on as they are.", [("sum(gochat_operator_leader)", "leaders")]),
        ("Clusters and objects", "short", "GoChatClusters looked after, and the objects made for them.", [
            ("max(gochat_operator_clusters)", "clusters"),
            ("max(gochat_operator_children)", "objects"),
        ]),
        ("CPU", "short", "Cores.", [('sum by (pod, instance) (rate(process_cpu_seconds_total[$__rate_interval]) and on (instance) gochat_operator_leader)', "{{pod}} {{instance}}")]),
        ("Memory", "bytes", "Resident.", [("sum by (pod, instance) (process_resident_memory_bytes and on (instance) gochat_operator_leader)", "{{pod}} {{instance}}")]),
    ]),
    ("Reconciles", [
        ("Looks at clusters", "ops", "By outcome.", [("sum by (outcome) (rate(gochat_operator_reconciles_total[$__rate_interval]))", "{{outcome}}")]),
        ("Duration", "s", "Of a look.", [
            (f"histogram_quantile({q}, sum by (le) (rate(gochat_operator_reconcile_seconds_bucket[$__rate_interval])))", n)
            for q, n in ((0.5, "p50"), (0.99, "p99"))
        ]),
        ("Writes", "ops", "Requests that change something. None while all is steady.", [("sum by (method, outcome) (rate(gochat_operator_writes_total[$__rate_interval]))", "{{method}} {{outcome}}")]),
        ("Changes of Kafka", "short", "Topics made and grown, in ten minutes.", [("sum by (change) (increase(gochat_operator_kafka_changes_total[10m]))", "{{change}}")]),
    ]),
    ("Decisions", [
        ("Scaling", "short", "Changes of replicas, in ten minutes.", [("sum by (workload, direction) (increase(gochat_operator_scale_decisions_total[10m]))", "{{workload}} {{direction}}")]),
        ("Moves", "short", "Slots given to another member, in ten minutes.", [("sum by (workload, reason) (increase(gochat_operator_moves_total[10m]))", "{{workload}} {{reason}}")]),
        ("Imbalance", "short", "Load of the hottest member over its share, the highest of all clusters (1 is even); and how many clusters are outside of their band.", [
            ("max(gochat_operator_hottest_ratio)", "hottest"),
            ("max(gochat_operator_unbalanced_clusters)", "clusters outside"),
        ]),
        ("Events", "short", "All that was decided, each with its numbers, in ten minutes: kubectl get events.", [("sum(increase(gochat_operator_events_total[10m]))", "events")]),
    ]),
]

INFRASTRUCTURE = [
    ("Processes", [
        ("CPU", "short", "Cores, by workload.", [(rate("process_cpu_seconds_total", BY), "{{%s}}" % BY)]),
        ("Memory", "bytes", "Resident, by workload.", [(f"sum by ({BY}) (process_resident_memory_bytes{C})", "{{%s}}" % BY)]),
        ("Hottest process", "short", "CPU of the process that takes most, and the mean: how even the load is.", [
            (f"max by ({BY}) (rate(process_cpu_seconds_total{C}[$__rate_interval]))", "{{%s}} hottest" % BY),
            (f"avg by ({BY}) (rate(process_cpu_seconds_total{C}[$__rate_interval]))", "{{%s}} mean" % BY),
        ]),
        ("File descriptors", "percentunit", "Of those allowed; a gateway holds one a connection.", [(f"max by ({BY}) (process_open_fds{C} / process_max_fds{C})", "{{%s}}" % BY)]),
    ]),
    ("Disk and network", [
        ("Network", "Bps", "Of the pods' network namespaces.", [
            (rate("process_network_receive_bytes_total", BY), "{{%s}} in" % BY),
            (rate("process_network_transmit_bytes_total", BY), "{{%s}} out" % BY),
        ]),
        ("Disk", "Bps", "Read and written by the processes. The services keep nothing: this is near zero.", [
            (rate("process_disk_read_bytes_total", BY), "{{%s}} read" % BY),
            (rate("process_disk_written_bytes_total", BY), "{{%s}} written" % BY),
        ]),
    ]),
    ("Engines, as the services see them", [
        ("Kafka: records", "ops", "Sent and read.", [
            (rate("gochat_mq_sent_total"), "sent"),
            (rate("gochat_mq_polled_total", "topic"), "read {{topic}}"),
        ]),
        ("Database: wait for a connection", "s", "99 in 100 are faster.", [(f"histogram_quantile(0.99, {rate('gochat_db_begin_seconds_bucket', 'le')})", "p99")]),
        ("Batches of the pipeline", "short", "Records in a batch: grows with the load.", [(f"{rate('gochat_pipeline_batch_records_sum')} / {rate('gochat_pipeline_batch_records_count')}", "records")]),
        ("Coordination", "ops", "Leases lost, claims lost, heartbeats without an answer.", [
            (rate("gochat_coord_leases_lost_total"), "leases lost"),
            (rate("gochat_coord_claims_lost_total"), "claims lost"),
            (rate("gochat_coord_beats_failed_total"), "heartbeats"),
        ]),
    ]),
]

NOTE = (
    "Of the processes themselves, so it is the same in Kubernetes, in Compose and on a bare machine. Limits, throttling and "
    "volumes are the kubelet's to tell (cAdvisor's `container_*`): use the dashboards of your cluster for these."
)


def variable(name: str, label: str) -> dict:
    query = f"label_values(gochat_gateway_connections, {label})"
    return {
        "name": name, "type": "query", "datasource": DATASOURCE, "query": {"query": query, "refId": name}, "definition": query,
        "refresh": 2, "includeAll": True, "allValue": ".*", "multi": True, "current": {"text": "All", "value": "$__all"},
    }


def panel(number: int, x: int, y: int, width: int, spec: tuple) -> dict:
    title, unit, text, queries = spec
    return {
        "id": number, "type": "timeseries", "title": title, "description": text, "datasource": DATASOURCE,
        "gridPos": {"x": x, "y": y, "w": width, "h": 8},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {"fillOpacity": 10, "lineWidth": 1}}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}},
        "targets": [
            {"refId": chr(ord("A") + i), "datasource": DATASOURCE, "expr": query, "legendFormat": legend}
            for i, (query, legend) in enumerate(queries)
        ],
    }


def dashboard(uid: str, title: str, rows: list, by_cluster: bool, note: str = "") -> dict:
    panels, y = [], 0
    if note:
        panels.append({"id": 1, "type": "text", "title": "", "gridPos": {"x": 0, "y": 0, "w": 24, "h": 3}, "options": {"mode": "markdown", "content": note}})
        y = 3
    for heading, specs in rows:
        panels.append({"id": len(panels) + 1, "type": "row", "title": heading, "collapsed": False, "panels": [], "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}})
        y += 1
        width = 24 // len(specs)
        for i, spec in enumerate(specs):
            panels.append(panel(len(panels) + 1, i * width, y, width, spec))
        y += 8
    variables = [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}]
    if by_cluster:
        variables += [variable("namespace", "namespace"), variable("cluster", "gochat_io_cluster")]
    return {
        "uid": uid, "title": title, "tags": ["gochat"], "schemaVersion": 39, "version": 1, "editable": True, "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"}, "timezone": "", "graphTooltip": 1,
        "templating": {"list": variables}, "annotations": {"list": []}, "panels": panels,
    }


def main() -> None:
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "dashboards")
    os.makedirs(folder, exist_ok=True)
    for name, made in {
        "chat": dashboard("gochat-chat", "GoChat / Chat", CHAT, True),
        "operator": dashboard("gochat-operator", "GoChat / Operator", OPERATOR, False),
        "infrastructure": dashboard("gochat-infrastructure", "GoChat / Infrastructure", INFRASTRUCTURE, True, NOTE),
    }.items():
        with open(os.path.join(folder, f"{name}.json"), "w", encoding="utf-8") as file:
            json.dump(made, file, indent=1, ensure_ascii=False)
            file.write("\n")


if __name__ == "__main__":
    main()
