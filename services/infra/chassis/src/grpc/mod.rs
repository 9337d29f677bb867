//! gRPC as GoChat's services speak it to each other.

mod channel;
mod server;

pub use channel::balanced;
pub use server::{GrpcError, describe, serve};

/// Largest message either way. A batch of 500 records of the largest size fits well below it.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
