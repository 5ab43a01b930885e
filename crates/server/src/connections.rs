//! Places for connections: whoever is quiet longest makes room for whoever comes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

/// Who was asked to leave may be sending an answer to its end; after so long another is asked.
const PATIENCE: Duration = Duration::from_millis(50);

/// Up to so many connections at once.
#[derive(Debug)]
pub(crate) struct Connections {
    limit: usize,
    held: Mutex<Held>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Held {
    next: u64,
    places: BTreeMap<u64, OpenConnection>,
}

#[derive(Debug)]
struct OpenConnection {
    /// Since when it has asked for nothing, unless a request of it is being worked on.
    quiet_since: Option<Instant>,
    /// Told when it has to leave; nothing once it was told.
    leave: Option<Arc<Notify>>,
    /// Whether it has ever asked for anything.
    was_used: bool,
}

impl OpenConnection {
    fn ask_to_leave(&mut self) {
        if let Some(leave) = self.leave.take() {
            leave.notify_one();
        }
    }
}

impl Connections {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, held: Mutex::default(), freed: Notify::new() })
    }

    /// A place for one more. Where all are taken, whoever has been quiet longest is asked to
    /// leave; while all are busy, it waits.
    pub(crate) async fn place(self: &Arc<Self>) -> Place {
        loop {
            let freed = self.freed.notified();
            if let Some(place) = self.free_place() {
                return place;
            }
            self.ask_the_quietest();
            let _ = tokio::time::timeout(PATIENCE, freed).await;
        }
    }

    fn free_place(self: &Arc<Self>) -> Option<Place> {
        let mut held = self.held();
        if held.places.len() >= self.limit {
            return None;
        }
        let (number, leave) = (held.next, Arc::new(Notify::new()));
        held.next += 1;
        let quiet_since = Some(Instant::now());
        let state = OpenConnection { quiet_since, leave: Some(leave.clone()), was_used: false };
        held.places.insert(number, state);
        Some(Place { connections: self.clone(), number, leave })
    }

    fn ask_the_quietest(&self) {
        let mut held = self.held();
        let states = held.places.values_mut();
        let quiet = states.filter(|state| state.leave.is_some() && state.quiet_since.is_some());
        if let Some(quietest) = quiet.min_by_key(|state| state.quiet_since) {
            quietest.ask_to_leave();
        }
    }

    /// Asks all to leave, each after the answer that it is sending, and waits until they have.
    pub(crate) async fn end(&self) {
        loop {
            let freed = self.freed.notified();
            if self.ask_all() == 0 {
                return;
            }
            freed.await;
        }
    }

    // Gives how many there are.
    fn ask_all(&self) -> usize {
        let mut held = self.held();
        held.places.values_mut().for_each(OpenConnection::ask_to_leave);
        held.places.len()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, number: u64, quiet_since: Option<Instant>) {
        if let Some(state) = self.held().places.get_mut(&number) {
            state.quiet_since = quiet_since;
            state.was_used = true;
        }
    }
}

/// The place of one connection, as long as it is held.
#[derive(Debug)]
pub(crate) struct Place {
    connections: Arc<Connections>,
    number: u64,
    leave: Arc<Notify>,
}

impl Place {
    /// Ends when this connection has to leave.
    pub(crate) fn has_to_leave(&self) -> impl Future<Output = ()> + use<> {
        let leave = self.leave.clone();
        async move { leave.notified().await }
    }

    /// Whether it has ever asked for anything.
    pub(crate) fn was_used(&self) -> bool {
        self.connections.held().places.get(&self.number).is_some_and(|state| state.was_used)
    }

    /// A request of this connection that is being worked on, as long as it is held.
    pub(crate) fn request(&self) -> Busy {
        self.connections.set(self.number, None);
        Busy { connections: self.connections.clone(), number: self.number }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.held().places.remove(&self.number);
        self.connections.freed.notify_one();
    }
}

pub(crate) struct Busy {
    connections: Arc<Connections>,
    number: u64,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.connections.set(self.number, Some(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn is_told(place: &Place) -> bool {
        place.has_to_leave().now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_quiet_longest_makes_room() {
        let connections = Connections::new(3);
        let mut places = Vec::new();
        for _ in 0..3 {
            places.push(connections.place().await);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        // The first is working, the second has just asked for something.
        let busy = places[0].request();
        drop(places[1].request());
        let waiting = connections.place();
        tokio::pin!(waiting);

        assert!(tokio::time::timeout(PATIENCE / 2, &mut waiting).await.is_err());
        assert_eq!(places.iter().map(is_told).collect::<Vec<_>>(), [false, false, true]);
        // It does not leave, and so the next is asked.
        assert!(tokio::time::timeout(PATIENCE * 2, &mut waiting).await.is_err());
        assert_eq!(places.iter().map(is_told).collect::<Vec<_>>(), [false, true, false]);
        places.remove(1);
        assert!(tokio::time::timeout(PATIENCE * 2, &mut waiting).await.is_ok());
        drop(busy);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_waits_until_all_have_left() {
        let connections = Connections::new(3);
        let place = connections.place().await;
        let busy = place.request();
        let end = connections.end();
        tokio::pin!(end);

        assert!(tokio::time::timeout(PATIENCE, &mut end).await.is_err());
        assert!(is_told(&place));
        drop((busy, place));
        assert!(tokio::time::timeout(PATIENCE, &mut end).await.is_ok());
    }
}
