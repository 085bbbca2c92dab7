//! One at a time for each of many things.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// A lock for each name, for as long as somebody holds it or waits for it.
#[derive(Default)]
pub(crate) struct Locks {
    locks: Mutex<HashMap<String, Weak<AsyncMutex<()>>>>,
}

impl Locks {
    /// Waits until nobody else holds the lock of this name, and holds it until the guard is dropped.
    pub(crate) async fn hold(&self, name: String) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.lock();
            if locks.len() > 64 {
                locks.retain(|_, lock| lock.strong_count() > 0);
            }
            let held = locks.get(&name).and_then(Weak::upgrade);
            held.unwrap_or_else(|| {
                let lock = Arc::new(AsyncMutex::new(()));
                locks.insert(name, Arc::downgrade(&lock));
                lock
            })
        };
        lock.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn one_at_a_time_for_a_name_and_nothing_is_kept() {
        let locks = Arc::new(Locks::default());
        let inside = Arc::new(AtomicUsize::new(0));
        let tasks = (0..200).map(|number| {
            let (locks, inside) = (locks.clone(), inside.clone());
            tokio::spawn(async move {
                let _guard = locks.hold(format!("{}", number % 2)).await;
                let others = inside.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                inside.fetch_sub(1, Ordering::SeqCst);
                assert!(others <= 1, "two names, two at a time");
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        for number in 0..200 {
            drop(locks.hold(format!("once-{number}")).await);
        }
        assert!(locks.locks.lock().len() <= 66);
    }
}
