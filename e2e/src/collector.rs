//! A collector of traces: takes what processes export over OTLP, and says what came.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// Processes send their spans every five seconds at the latest.
const WITHIN: Duration = Duration::from_mins(1);

/// Spans, each with the name of the service that sent it.
#[derive(Clone, Debug, Default)]
pub struct Spans(Vec<(String, Span)>);

/// A running collector.
#[derive(Debug)]
pub struct Collector {
    url: String,
    spans: watch::Receiver<Spans>,
}

impl Collector {
    /// Starts on a free port of this machine.
    pub async fn start() -> Result<Self> {
        let (sender, spans) = watch::channel(Spans::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let server = Server::builder().add_service(TraceServiceServer::new(Taking(sender)));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        Ok(Self { url, spans })
    }

    /// For `telemetry.otlp`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What came so far.
    pub fn spans(&self) -> Spans {
        self.spans.borrow().clone()
    }

    /// Waits until this many came.
    pub async fn wait_for(&self, at_least: usize) -> Result<Spans> {
        let mut spans = self.spans.clone();
        let came = tokio::time::timeout(WITHIN, spans.wait_for(|spans| spans.0.len() >= at_least)).await;
        let names = || format!("the collector has only {:?}", self.spans().names());
        Ok(came.with_context(names)?.with_context(names)?.clone())
    }
}

impl Spans {
    /// Their names, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.0.iter().map(|(_, span)| span.name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// Those of other traces than these.
    #[must_use]
    pub fn without(&self, others: &Self) -> Self {
        let known: BTreeSet<_> = others.0.iter().map(|(_, span)| &span.trace_id).collect();
        Self(self.0.iter().filter(|(_, span)| !known.contains(&span.trace_id)).cloned().collect())
    }

    /// The texts of an attribute, sorted.
    pub fn values(&self, key: &str) -> Vec<&str> {
        let attributes = self.0.iter().flat_map(|(_, span)| &span.attributes).filter(|of| of.key == key);
        let text = attributes.filter_map(|of| match of.value.as_ref()?.value.as_ref()? {
            Value::StringValue(text) => Some(text.as_str()),
            _ => None,
        });
        let mut values: Vec<_> = text.collect();
        values.sort_unstable();
        values
    }

    /// That each span of a name is a part of one of another, where that one has come.
    pub fn ensure_children(&self, name: &str, of: &str) -> Result<()> {
        let parents: Vec<_> = self.called(of).collect();
        let traces: BTreeSet<_> = parents.iter().map(|span| &span.trace_id).collect();
        let ids: BTreeSet<_> = parents.iter().map(|span| &span.span_id).collect();
        let mut children = self.called(name).filter(|span| traces.contains(&span.trace_id)).peekable();
        ensure!(children.peek().is_some(), "no {name} in a trace of {of}");
        ensure!(children.all(|span| ids.contains(&span.parent_span_id)), "a {name} outside of {of}");
        Ok(())
    }

    fn called<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Span> {
        self.0.iter().map(|(_, span)| span).filter(move |span| span.name == name)
    }

    /// That all are of one trace, and each a child of one named before it, by the given service; the first has no parent.
    pub fn ensure_chain(&self, chain: &[(&str, &str)]) -> Result<()> {
        let traces: BTreeSet<_> = self.0.iter().map(|(_, span)| &span.trace_id).collect();
        ensure!(traces.len() == 1, "{} traces", traces.len());
        let mut parents = vec![Vec::new()];
        for (service, name) in chain {
            let these: Vec<_> = self.0.iter().filter(|(_, span)| span.name == *name).collect();
            ensure!(!these.is_empty(), "no {name}");
            for (by, span) in &these {
                ensure!(by == service, "{name} is by {by}");
                ensure!(parents.contains(&span.parent_span_id), "{name} has another parent");
                ensure!(span.end_time_unix_nano >= span.start_time_unix_nano, "{name} ends before it begins");
            }
            parents = these.into_iter().map(|(_, span)| span.span_id.clone()).collect();
        }
        Ok(())
    }
}

struct Taking(watch::Sender<Spans>);

#[tonic::async_trait]
impl TraceService for Taking {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for of in request.into_inner().resource_spans {
            let service = service(of.resource.as_ref());
            let spans = of.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.0.send_modify(|all| all.0.extend(spans.map(|span| (service.clone(), span))));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn service(resource: Option<&Resource>) -> String {
    let named = resource.into_iter().flat_map(|r| &r.attributes).find(|a| a.key == "service.name");
    match named.and_then(|attribute| attribute.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(name)) => name.clone(),
        _ => String::new(),
    }
}
