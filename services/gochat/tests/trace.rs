//! One trace from a WebSocket frame through the log to its delivery, as a collector gets it from the binary.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use gochat_client::{Account, Api, Client, ClientConfig, Event, Events};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use support::Dev;
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

const DEADLINE: Duration = Duration::from_mins(1);

/// Takes whatever spans it is sent.
struct Collector(watch::Sender<Vec<Span>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let scopes = request.into_inner().resource_spans.into_iter().flat_map(|of| of.scope_spans);
        self.0.send_modify(|spans| spans.extend(scopes.flat_map(|scope| scope.spans)));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Its address, and the spans that came.
    async fn start() -> (String, watch::Receiver<Vec<Span>>) {
        let (sender, spans) = watch::channel(Vec::new());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = Server::builder().add_service(TraceServiceServer::new(Self(sender)));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        (address, spans)
    }
}

/// A cluster of two gateways that exports to a collector.
struct Traced {
    dev: Dev,
    data: tempfile::TempDir,
    spans: watch::Receiver<Vec<Span>>,
}

impl Traced {
    async fn start(ratio: &str, more: &[&str]) -> Self {
        let (collector, spans) = Collector::start().await;
        let data = tempfile::tempdir().unwrap();
        let (otlp, ratio) =
            (format!("telemetry.otlp={collector}"), format!("telemetry.sample_ratio={ratio}"));
        let folder = data.path().to_str().unwrap();
        let args = [&["--data", folder, "--set", &otlp, "--set", &ratio], more].concat();
        Self { dev: Dev::start(&args), data, spans }
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
    async fn spans(self, at_least: usize) -> (Vec<Span>, tempfile::TempDir) {
        let Self { dev, data, mut spans } = self;
        let enough = spans.wait_for(|spans| spans.len() >= at_least);
        let came = tokio::time::timeout(DEADLINE, enough).await.is_ok();
        assert!(came, "the collector has only {:?}", names(&spans.borrow()));
        assert_eq!(dev.interrupt().0, Some(0));
        let spans = spans.borrow().clone();
        (spans, data)
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

fn names(spans: &[Span]) -> Vec<&str> {
    let mut names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    names.sort_unstable();
    names
}

/// That all spans are of one trace, and each a child of one named before it; the first has no parent.
fn assert_chain(spans: &[Span], chain: &[&str]) {
    let traces: BTreeSet<_> = spans.iter().map(|span| &span.trace_id).collect();
    assert_eq!(traces.len(), 1, "one trace");
    let mut parents = vec![Vec::new()];
    for name in chain {
        let these: Vec<_> = spans.iter().filter(|span| span.name == *name).collect();
        assert!(!these.is_empty(), "no {name}");
        for span in &these {
            assert!(parents.contains(&span.parent_span_id), "{name} has another parent");
            assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
        }
        parents = these.into_iter().map(|span| span.span_id.clone()).collect();
    }
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
    assert_eq!(names(&spans), ["gateway.deliver", "gateway.deliver", "gateway.send", "logic.commit"]);
    assert_chain(&spans, &["gateway.send", "logic.commit", "gateway.deliver"]);
    assert!(written(data.path(), "traceparent"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trace_of_a_message_to_a_large_group_leads_through_task() {
    let mut traced = Traced::start("1", &["--set", "logic.fanout_threshold=1"]).await;
    traced.chat().await;
    let (spans, _) = traced.spans(5).await;
    assert_eq!(spans.len(), 5, "{:?}", names(&spans));
    assert_chain(&spans, &["gateway.send", "logic.commit", "task.fan_out", "gateway.deliver"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_sampled_is_neither_exported_nor_marked_in_the_log() {
    let mut traced = Traced::start("0", &[]).await;
    traced.chat().await;
    let (spans, data) = traced.spans(0).await;
    assert_eq!(names(&spans), Vec::<&str>::new());
    assert!(written(data.path(), "message-id"), "these are not the log's files");
    assert!(!written(data.path(), "traceparent"));
}
