//! etcd as a backend: every operation is one call with a time limit.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use etcd_client::{
    Client, Compare, CompareOp, ConnectOptions, DeleteOptions, Error, KeyValue, PutOptions, Txn, TxnOp,
    TxnOpResponse,
};

use super::views::Views;
use super::{Entry, Lease, Put, StoreError, ViewReceiver, etcd_view};

pub(crate) struct Etcd {
    client: Client,
    prefix: String,
    /// Of one call. Two fit into a lease's life, so that one that hangs doesn't cost the lease.
    call_timeout: Duration,
    views: Views,
}

impl Etcd {
    /// Refuses only addresses that can't be one; connects when first called.
    pub(crate) async fn connect(
        addresses: &[String],
        prefix: &str,
        lease_ttl: Duration,
    ) -> Result<Self, StoreError> {
        let call_timeout = lease_ttl / 2;
        let options = ConnectOptions::new()
            // A server that is cut off from its peers would show yesterday's keys: rather an error.
            .with_require_leader(true)
            .with_connect_timeout(call_timeout)
            // A view is silent for hours; without this a connection that died silently would freeze it.
            .with_keep_alive(lease_ttl, lease_ttl)
            .with_keep_alive_while_idle(true);
        let client = Client::connect(addresses, Some(options)).await.map_err(|e| store_error(&e))?;
        Ok(Self {
            client,
            prefix: format!("{}/", prefix.trim_end_matches('/')),
            call_timeout,
            views: Views::default(),
        })
    }

    async fn call<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
        match tokio::time::timeout(self.call_timeout, call).await {
            Ok(result) => result.map_err(|e| store_error(&e)),
            Err(_) => Err(StoreError::Away(format!("no answer in {:?}", self.call_timeout))),
        }
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        let answer = self.call(self.client.kv_client().get(self.key(key), None)).await?;
        Ok(answer.kvs().first().map(Entry::from))
    }

    pub(super) async fn put(&self, key: &str, value: Bytes, lease: Lease) -> Result<i64, StoreError> {
        let options = PutOptions::new().with_lease(lease);
        let answer = self.call(self.client.kv_client().put(self.key(key), value, Some(options))).await?;
        Ok(answer.header().map_or(0, etcd_client::ResponseHeader::revision))
    }

    pub(super) async fn put_if_absent(
        &self,
        key: &str,
        value: Bytes,
        lease: Lease,
    ) -> Result<Put, StoreError> {
        let key = self.key(key);
        let txn = Txn::new()
            .when([Compare::create_revision(key.as_str(), CompareOp::Equal, 0)])
            .and_then([TxnOp::put(key.as_str(), value, Some(PutOptions::new().with_lease(lease)))])
            .or_else([TxnOp::get(key, None)]);
        let answer = self.call(self.client.kv_client().txn(txn)).await?;
        if answer.succeeded() {
            return Ok(Put::Done(answer.header().map_or(0, etcd_client::ResponseHeader::revision)));
        }
        answer
            .op_responses()
            .iter()
            .find_map(|op| match op {
                TxnOpResponse::Get(get) => get.kvs().first().map(|kv| Put::Held(kv.into())),
                _ => None,
            })
            .ok_or_else(|| StoreError::Away("a refused transaction that shows no key".into()))
    }

    pub(super) async fn compare_and_put(
        &self,
        key: &str,
        expected: Option<&Bytes>,
        value: Bytes,
    ) -> Result<bool, StoreError> {
        let key = self.key(key);
        let compare = match expected {
            Some(expected) => Compare::value(key.as_str(), CompareOp::Equal, expected.to_vec()),
            None => Compare::create_revision(key.as_str(), CompareOp::Equal, 0),
        };
        let txn = Txn::new().when([compare]).and_then([TxnOp::put(key, value, None)]);
        Ok(self.call(self.client.kv_client().txn(txn)).await?.succeeded())
    }

    pub(super) async fn delete_under(&self, key: &str, lease: Lease) -> Result<(), StoreError> {
        let key = self.key(key);
        let txn = Txn::new()
            .when([Compare::lease(key.as_str(), CompareOp::Equal, lease)])
            .and_then([TxnOp::delete(key, None::<DeleteOptions>)]);
        self.call(self.client.kv_client().txn(txn)).await.map(drop)
    }

    pub(super) async fn grant(&self, ttl: Duration) -> Result<Lease, StoreError> {
        let seconds = i64::try_from(ttl.as_millis().div_ceil(1000)).unwrap_or(i64::MAX).max(1);
        Ok(self.call(self.client.lease_client().grant(seconds, None)).await?.id())
    }

    /// One beat on a stream of its own. A stream that is held open saves a header a beat and has to be watched for
    /// having died; at a few beats in a lease's life the simpler one wins.
    pub(super) async fn keep_alive(&self, lease: Lease) -> Result<(), StoreError> {
        self.call(self.client.lease_client().keep_alive(lease)).await.map(drop)
    }

    pub(super) async fn revoke(&self, lease: Lease) -> Result<(), StoreError> {
        self.call(self.client.lease_client().revoke(lease)).await.map(drop)
    }

    pub(super) fn view(self: &Arc<Self>, what: &str) -> ViewReceiver {
        self.views.open(what, |view| {
            tokio::spawn(etcd_view::follow(Arc::clone(self), what.to_owned(), view));
        })
    }

    pub(super) fn views(&self) -> &Views {
        &self.views
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn call_timeout(&self) -> Duration {
        self.call_timeout
    }
}

impl From<&KeyValue> for Entry {
    fn from(kv: &KeyValue) -> Self {
        Self { value: Bytes::copy_from_slice(kv.value()), revision: kv.mod_revision(), lease: kv.lease() }
    }
}

fn store_error(error: &Error) -> StoreError {
    match error {
        // What the client makes of a beat that is answered with a TTL of 0.
        Error::LeaseKeepAliveError(_) => StoreError::LeaseGone,
        Error::GRpcStatus(status) if status.message().contains("requested lease not found") => {
            StoreError::LeaseGone
        }
        Error::GRpcStatus(status) => StoreError::Away(format!("{:?}: {}", status.code(), status.message())),
        other => StoreError::Away(other.to_string()),
    }
}
