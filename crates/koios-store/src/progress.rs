//! How far long work has come, told while it runs.

use std::fmt;
use std::sync::Arc;

/// What is being done, and how much of it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// What, such as `checking certificates`.
    pub what: &'static str,
    /// How many are done.
    pub done: usize,
    /// Of how many, where that is known.
    pub total: Option<usize>,
}

/// Whom long work tells how far it has come; nobody by default.
///
/// It is told often, from whatever thread works, and should not block.
///
/// # Examples
/// ```
/// use koios_store::{BackupOrder, Progress};
///
/// let mut order = BackupOrder::new("data", "backup.koios");
/// order.progress = Progress::new(|step| eprintln!("{}: {}", step.what, step.done));
/// ```
#[derive(Clone, Default)]
pub struct Progress(Option<Arc<dyn Fn(Step) + Send + Sync>>);

impl Progress {
    /// Tells that function.
    #[must_use]
    pub fn new(told: impl Fn(Step) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(told)))
    }

    pub(crate) fn tell(&self, what: &'static str, done: usize, total: Option<usize>) {
        if let Some(told) = &self.0 {
            told(Step { what, done, total });
        }
    }

    /// The items, each told of when it is asked for.
    pub(crate) fn over<'a, I: ExactSizeIterator + 'a>(
        &'a self,
        what: &'static str,
        items: impl IntoIterator<IntoIter = I>,
    ) -> impl Iterator<Item = I::Item> + 'a {
        let items = items.into_iter();
        let total = items.len();
        items.enumerate().map(move |(done, item)| {
            self.tell(what, done, Some(total));
            item
        })
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Progress(told)" } else { "Progress(nobody)" })
    }
}
