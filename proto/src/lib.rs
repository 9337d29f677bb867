//! gRPC services and log records of GoChat, generated from `proto/gochat/` by `make generate`.
//!
//! ```text
//! types  ◀── client   frames on a client's WebSocket
//!        ◀── events   records in the log: upstream, downstream, task, dead-letter
//!        ◀── logic    what gateways ask of logic
//!        ◀── repo     the data service
//!            gateway  the relay between gateways (carries events)
//!            ops      load reports and drain, for the operator
//! ```
//!
//! `client` and `types` also implement serde by the canonical proto3 JSON mapping (64-bit integers are strings,
//! names are lowerCamelCase, unknown fields are ignored).

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, clippy::indexing_slicing)]
mod generated {
    pub mod types {
        pub mod v1 {
            include!("generated/gochat.types.v1.rs");
            include!("generated/gochat.types.v1.serde.rs");
        }
    }
    pub mod client {
        pub mod v1 {
            include!("generated/gochat.client.v1.rs");
            include!("generated/gochat.client.v1.serde.rs");
        }
    }
    pub mod events {
        pub mod v1 {
            include!("generated/gochat.events.v1.rs");
        }
    }
    pub mod gateway {
        pub mod v1 {
            include!("generated/gochat.gateway.v1.rs");
        }
    }
    pub mod logic {
        pub mod v1 {
            include!("generated/gochat.logic.v1.rs");
        }
    }
    pub mod ops {
        pub mod v1 {
            include!("generated/gochat.ops.v1.rs");
        }
    }
    pub mod repo {
        pub mod v1 {
            include!("generated/gochat.repo.v1.rs");
        }
    }
}

pub use generated::client::v1 as client;
pub use generated::events::v1 as events;
pub use generated::gateway::v1 as gateway;
pub use generated::logic::v1 as logic;
pub use generated::ops::v1 as ops;
pub use generated::repo::v1 as repo;
pub use generated::types::v1 as types;

/// All packages as an encoded `FileDescriptorSet`, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!("generated/descriptors.bin");
