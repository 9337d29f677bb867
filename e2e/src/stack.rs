//! The engines, shared by the tests of one process: starting them costs more than most tests.

use anyhow::Result;
use gochat_engines::Stack;
use tokio::sync::OnceCell;

/// The stack of this process, started at the first call. It ends with the process.
pub async fn shared() -> Result<&'static Stack> {
    static STACK: OnceCell<Stack> = OnceCell::const_new();
    STACK.get_or_try_init(Stack::start_all).await
}
