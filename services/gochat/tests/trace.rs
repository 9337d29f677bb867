//! One trace from a WebSocket frame through the log to its delivery, as a collector gets it from the binary.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

mod support;

use std::path::Path;
use std::time::Duration;

use gochat_client::{Account, Api, Client, ClientConfig, Event, Events};
use gochat_e2e::{Collector, Spans};
use support::Dev;

const DEADLINE: Duration = Duration::from_mins(1);

/// A cluster of two gateways that exports to a collector.
struct Traced {
    dev: Dev,
    data: tempfile::TempDir,
    collector: Collector,
}

impl Traced {
    async fn start(ratio: &str, more: &[&str]) -> Self {
        let collector = Collector::start().await.unwrap();
        let data = tempfile::tempdir().unwrap();
        let (otlp, ratio) =
            (format!("telemetry.otlp={}", collector.url()), format!("telemetry.sample_ratio={ratio}"));
        let folder = data.path().to_str().unwrap();
        let args = [&["--data", folder, "--set", &otlp, "--set", &ratio], more].concat();
        Self { dev: Dev::start(&args), data, collector }
    }

    /// Ann, at one gateway, sends a message to Bob, at the other; returns when both have it.
    async fn chat(&mut self) {
        let first = self.dev.address_after("chat page");
        let second = self.dev.address_after("other gateways");
        let (api, ann) = register(&first, "ann").await;
        let (_, bob) = register(&second, "bob").await;
        let chat = api.create_direct(bob.user.user_id).await.unwrap().conversation_id;
        let (sender, _unread) = connect(&first, ann).await;
        let (_receiver, mut received) = connect(&second, bob).await;
        sender.send(chat, "hello").await.unwrap().committed().await.unwrap();
        until(&mut received, |event| matches!(event, Event::Message(message) if message.text == "hello"))
            .await;
    }

    /// Waits until the collector has this many spans, then stops the cluster, which sends what is left.
    async fn spans(self, at_least: usize) -> (Spans, tempfile::TempDir) {
        let Self { dev, data, collector } = self;
        collector.wait_for(at_least).await.unwrap();
        assert_eq!(dev.interrupt().0, Some(0));
        (collector.spans(), data)
    }
}

async fn register(page: &str, name: &str) -> (Api, Account) {
    let api = Api::new(page).unwrap();
    let account = api.register(name, "correct horse", "test").await.unwrap();
    (api, account)
}

async fn connect(page: &str, account: Account) -> (Client, Events) {
    let socket = format!("{}ws", page.replace("http://", "ws://"));
    let (client, mut events) = Client::connect(ClientConfig::new([socket], account.access_token));
    until(&mut events, |event| matches!(event, Event::CaughtUp)).await;
    (client, events)
}

async fn until(events: &mut Events, wanted: impl Fn(&Event) -> bool) {
    let seen = async { while !wanted(&events.next().await.unwrap()) {} };
    tokio::time::timeout(DEADLINE, seen).await.unwrap();
}

/// All services are one process, which has one name.
fn in_dev(name: &str) -> (&str, &str) {
    ("gochat-dev", name)
}

/// Whether a file below the folder contains the text.
fn written(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        if path.is_dir() {
            return written(&path, text);
        }
        std::fs::read(path).unwrap().windows(text.len()).any(|part| part == text.as_bytes())
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_leads_from_the_senders_frame_through_the_log_to_each_delivery() {
    let mut traced = Traced::start("1", &[]).await;
    traced.chat().await;
    let (spans, data) = traced.spans(4).await;
    // One delivery at the edge of each of the two; and no span of anything else.
    assert_eq!(spans.names(), ["gateway.deliver", "gateway.deliver", "gateway.send", "logic.commit"]);
    spans.ensure_chain(&["gateway.send", "logic.commit", "gateway.deliver"].map(in_dev)).unwrap();
    assert!(written(data.path(), "traceparent"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trace_of_a_message_to_a_large_group_leads_through_task() {
    let mut traced = Traced::start("1", &["--set", "logic.fanout_threshold=1"]).await;
    traced.chat().await;
    let (spans, _) = traced.spans(5).await;
    assert_eq!(spans.names().len(), 5, "{:?}", spans.names());
    spans
        .ensure_chain(&["gateway.send", "logic.commit", "task.fan_out", "gateway.deliver"].map(in_dev))
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_sampled_is_neither_exported_nor_marked_in_the_log() {
    let mut traced = Traced::start("0", &[]).await;
    traced.chat().await;
    let (spans, data) = traced.spans(0).await;
    assert_eq!(spans.names(), Vec::<&str>::new());
    assert!(written(data.path(), "message-id"), "these are not the log's files");
    assert!(!written(data.path(), "traceparent"));
}
