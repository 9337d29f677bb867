//! Values made from a view and kept current with it.

use tokio::sync::watch;

use crate::store::{View, ViewReceiver};

/// `read` makes the next value from the view and the present one; `None` keeps it. Receivers are woken only by a
/// value that differs. Ends when the last receiver is dropped.
pub(crate) fn derive<T: Clone + PartialEq + Send + Sync + 'static>(
    mut view: ViewReceiver,
    initial: T,
    read: impl Fn(&View, &T) -> Option<T> + Send + 'static,
) -> watch::Receiver<T> {
    let first = read(&view.borrow_and_update(), &initial).unwrap_or(initial);
    let (value, receiver) = watch::channel(first);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = value.closed() => return,
                changed = view.changed() => if changed.is_err() { return },
            }
            let next = read(&view.borrow_and_update(), &value.borrow());
            if let Some(next) = next {
                value.send_if_modified(|present| {
                    let changed = *present != next;
                    *present = next;
                    changed
                });
            }
        }
    });
    receiver
}
