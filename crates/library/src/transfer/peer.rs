//! Libraries of other programs.

use std::{path::Path, sync::Arc};

use futures::{StreamExt, stream};
use songrec_audio::Opening;
use songrec_core::{Event, InvalidModelName, ModelName, Vector, Work};
use songrec_formats::peers::{Peer, PeerError, PeerRecord};
use tokio::sync::mpsc;

use super::{
    arrive::Arriving,
    record::Record,
    song_of::{Described, described, unknown_model},
};
use crate::{
    Error, ErrorKind, Result,
    work::{blocking, on_cpu},
};

/// Records that are read ahead.
const AHEAD: usize = 512;
/// How many records are made into songs at once: of those with audio, the audio is read.
const READ_AT_ONCE: usize = 16;

type Read = std::result::Result<PeerRecord, (String, String)>;

/// Takes in everything that another program has.
pub(super) async fn import_peer(
    arriving: &mut Arriving<'_>,
    peer: Peer,
    model: Option<&ModelName>,
) -> Result<()> {
    let path = peer.path.clone();
    let folder: Arc<Path> = match path.is_dir() {
        true => path.as_path().into(),
        false => path.parent().unwrap_or(Path::new(".")).into(),
    };
    arriving.job.on(Event::started(Work::Importing, None));
    let (send, mut records) = mpsc::channel(AHEAD);
    let reading = blocking(move || read_all(&peer, &send));
    let taking = async {
        let mut records_of = Vec::with_capacity(arriving.batch);
        while records.recv_many(&mut records_of, arriving.batch).await > 0 {
            // As many at once as are stored at once.
            while records_of.len() < arriving.batch {
                let left = arriving.batch - records_of.len();
                if records.recv_many(&mut records_of, left).await == 0 {
                    break;
                }
            }
            if arriving.job.is_interrupted() {
                arriving.imported.interrupted = true;
                break;
            }
            peer_records(arriving, std::mem::take(&mut records_of), &folder, model).await?;
        }
        // Whoever reads for us ends, too.
        drop(records);
        Ok::<(), Error>(())
    };
    let (read, taken) = futures::join!(reading, taking);
    taken?;
    if let Err(error) = read? {
        return Err(Error::new(
            ErrorKind::Corrupt,
            format_args!("`{}` cannot be read to its end", path.display()),
        )
        .because(error));
    }
    arriving.job.on(Event::Finished);
    Ok(())
}

async fn peer_records(
    arriving: &mut Arriving<'_>,
    records: Vec<Read>,
    folder: &Arc<Path>,
    model: Option<&ModelName>,
) -> Result<()> {
    let mut readable = Vec::with_capacity(records.len());
    for record in records {
        match record {
            Ok(record) => {
                let label = Record::new(&record.fields).label(record.key.as_deref());
                readable.push((label, record));
            }
            Err((label, why)) => arriving.fail(label, why),
        }
    }
    let opening = arriving.opening.clone();
    let read = |(label, record): (String, PeerRecord)| {
        let (folder, model, opening) = (folder.clone(), model.cloned(), opening.clone());
        let read = move || song_of(record, model, &folder, &opening);
        async move { (label, on_cpu(None, read).await) }
    };
    let read: Vec<_> = stream::iter(readable).map(read).buffered(READ_AT_ONCE).collect().await;
    let mut batch = Vec::with_capacity(read.len());
    for (label, read) in read {
        match read.and_then(|read| read) {
            Ok(described) => batch.extend(arriving.arrival(described, label).await?),
            Err(why) => arriving.fail(label, why),
        }
    }
    arriving.take_in(batch).await
}

fn song_of(
    mut record: PeerRecord,
    model: Option<ModelName>,
    folder: &Path,
    opening: &Opening,
) -> std::result::Result<Described, String> {
    // A name that is given is that of the only vector.
    let given = model.filter(|_| record.vectors.len() <= 1);
    let mut vectors = Vec::new();
    for vector in std::mem::take(&mut record.vectors) {
        let name = match &given {
            Some(name) => name.clone(),
            None => format!("{}@1", vector.model)
                .parse()
                .map_err(|error: InvalidModelName| error.to_string())?,
        };
        let metric = vector.metric;
        let vector = Vector::new(vector.values).map_err(|error| error.to_string())?;
        vectors.push((unknown_model(name, vector.dimension(), metric), vector));
    }
    let mut read = Record::new(&record.fields);
    if vectors.is_empty()
        && let Some(values) = read.vector()
    {
        let vector = Vector::new(values).map_err(|error| error.to_string())?;
        let name = match given {
            Some(name) => name,
            None => format!("imported-{}@1", vector.dimension())
                .parse()
                .map_err(|error: InvalidModelName| error.to_string())?,
        };
        let spec = unknown_model(name, vector.dimension(), songrec_core::Metric::Cosine);
        vectors.push((spec, vector));
    }
    described(record.key.as_deref(), read, vectors, folder, opening)
}

// Reads records until nobody wants more.
fn read_all(peer: &Peer, records: &mpsc::Sender<Read>) -> std::result::Result<(), PeerError> {
    peer.each(&mut |record| records.blocking_send(record).is_ok())
}
