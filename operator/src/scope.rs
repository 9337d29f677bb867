//! Which namespaces the operator looks after.

use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, NamespaceResourceScope};
use kube::{Client, Resource};

/// All namespaces, or one of those that were given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Every namespace.
    All,
    /// This one only.
    Namespace(String),
}

impl Scope {
    /// `[]` is every namespace.
    pub fn of(namespaces: &[String]) -> Vec<Self> {
        if namespaces.is_empty() {
            return vec![Self::All];
        }
        let mut scopes: Vec<_> = namespaces.iter().cloned().map(Self::Namespace).collect();
        scopes.sort();
        scopes.dedup();
        scopes
    }

    /// The objects of a kind in it.
    pub fn api<K>(&self, client: Client) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        match self {
            Self::All => Api::all(client),
            Self::Namespace(namespace) => Api::namespaced(client, namespace),
        }
    }

    /// The objects of a kind that is known at run time.
    pub fn dynamic(&self, client: Client, resource: &ApiResource) -> Api<DynamicObject> {
        match self {
            Self::All => Api::all_with(client, resource),
            Self::Namespace(namespace) => Api::namespaced_with(client, namespace, resource),
        }
    }

    /// Whether a namespace is in it.
    pub fn has(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Namespace(own) => own == namespace,
        }
    }
}
