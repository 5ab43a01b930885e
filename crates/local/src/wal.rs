//! The switch of a database to a write-ahead log.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode};

/// Lets this connection wait up to `patience` for others, and gives the
/// database a write-ahead log.
///
/// Two that switch the same new database at once both read it and both want
/// it alone, and would wait for each other forever; so `SQLite` says "locked"
/// to one of them, however patient it is. Here that one tries again.
pub(crate) fn switch(connection: &Connection, patience: Duration) -> rusqlite::Result<()> {
    connection.busy_timeout(patience)?;
    let end = Instant::now() + patience;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && Instant::now() < end =>
            {
                sleep(Duration::from_millis(2));
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn many_can_switch_a_new_database_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let barrier = Barrier::new(8);

        for round in 0..20 {
            let path = folder.path().join(round.to_string());
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        let connection = Connection::open(&path).unwrap();
                        barrier.wait();
                        switch(&connection, Duration::from_secs(30)).unwrap();
                        connection.execute_batch("CREATE TABLE IF NOT EXISTS t (a)").unwrap();
                    });
                }
            });
        }
    }
}
