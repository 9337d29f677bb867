//! The journal's files: segments that are appended to, rolled and retired. Knows frames, not topics.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;

use super::frame::{self, Kind};
use crate::Consumed;

/// Where a record's frame stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) segment: u32,
    at: u32,
    length: u32,
}

/// The open segments, for readers.
#[derive(Clone, Default)]
pub(super) struct Files(Arc<RwLock<BTreeMap<u32, Arc<File>>>>);

impl Files {
    /// Reads records from disk. Ends early where a segment was retired meanwhile.
    pub(super) fn read(&self, places: &[Place]) -> io::Result<Vec<Consumed>> {
        let mut records = Vec::with_capacity(places.len());
        for place in places {
            let Some(file) = self.0.read().get(&place.segment).cloned() else { break };
            let mut frame = vec![0; usize::try_from(place.length).unwrap_or(usize::MAX)];
            file.read_exact_at(&mut frame, u64::from(place.at))?;
            let Some((Kind::Record(stored), _)) = frame::read(&Bytes::from(frame)) else {
                return Err(io::Error::other(format!(
                    "segment {} is damaged at {}",
                    place.segment, place.at
                )));
            };
            records.push(stored.to_consumed());
        }
        Ok(records)
    }
}

/// A partition: topic id and number.
type Key = (u32, u32);

struct Segment {
    id: u32,
    bytes: u64,
    /// The end offset of every partition that has records in it: done below that, it can go.
    ends: HashMap<Key, u64>,
}

/// The files of one folder, open for one process.
pub(super) struct Journal {
    folder: PathBuf,
    /// Held while open: two processes in one journal would overwrite each other.
    _lock: File,
    files: Files,
    segments: VecDeque<Segment>,
    active: Option<Arc<File>>,
    segment_bytes: u64,
}

impl Journal {
    /// Visits every entry in the order it was written; cuts a torn tail off the last segment.
    ///
    /// # Errors
    /// The folder is in use by another process, or a segment before the last is damaged: what follows it would be
    /// lost silently.
    pub(super) fn open(
        folder: &Path,
        segment_bytes: u64,
        files: &Files,
        mut visit: impl FnMut(Place, Kind),
    ) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let lock = File::options().create(true).truncate(false).write(true).open(folder.join("lock"))?;
        lock.try_lock().map_err(|_| io::Error::other("another process has it open"))?;
        let mut journal = Self {
            folder: folder.to_owned(),
            _lock: lock,
            files: files.clone(),
            segments: VecDeque::new(),
            active: None,
            segment_bytes,
        };
        let ids = journal.ids()?;
        for &id in &ids {
            journal.load(id, ids.last() == Some(&id), &mut visit)?;
        }
        Ok(journal)
    }

    fn ids(&self) -> io::Result<Vec<u32>> {
        let mut ids = Vec::new();
        for file in fs::read_dir(&self.folder)? {
            let name = file?.file_name();
            let id: Option<u32> = name.to_str().and_then(|name| name.strip_suffix(".journal")?.parse().ok());
            ids.extend(id);
        }
        ids.sort_unstable();
        Ok(ids)
    }

    fn path(&self, id: u32) -> PathBuf {
        self.folder.join(format!("{id:010}.journal"))
    }

    fn load(&mut self, id: u32, last: bool, visit: &mut impl FnMut(Place, Kind)) -> io::Result<()> {
        let path = self.path(id);
        let file = File::options().read(true).write(true).open(&path)?;
        let bytes = Bytes::from(fs::read(&path)?);
        let mut segment = Segment { id, bytes: 0, ends: HashMap::new() };
        let mut complete = false;
        let valid = frame::scan(bytes.clone(), |at, length, kind| {
            complete |= matches!(kind, Kind::Ready(_));
            if let Kind::Record(stored) = &kind {
                segment.ends.insert((stored.topic, stored.partition), stored.offset + 1);
            }
            visit(place(id, at as u64, length), kind);
        });
        segment.bytes = valid as u64;
        if !last && (valid < bytes.len() || !complete) {
            return Err(io::Error::other(format!("{} is damaged at byte {valid}", path.display())));
        }
        if valid < bytes.len() {
            tracing::warn!(
                segment = id,
                at = valid,
                bytes = bytes.len() - valid,
                "cut a torn tail off the log"
            );
            file.set_len(segment.bytes)?;
            file.sync_all()?;
        }
        if complete {
            let file = Arc::new(file);
            self.files.0.write().insert(id, Arc::clone(&file));
            self.segments.push_back(segment);
            self.active = Some(file);
        } else {
            // It was being created: nothing but a part of its snapshot can be in it.
            fs::remove_file(&path)?;
        }
        Ok(())
    }

    /// Bytes of all segments.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// True if a new segment is due.
    pub(super) fn is_full(&self) -> bool {
        self.segments.back().is_none_or(|segment| segment.bytes >= self.segment_bytes)
    }

    /// Begins a new segment with a snapshot.
    pub(super) fn roll(&mut self, snapshot: Vec<Kind>) -> io::Result<()> {
        let id = self.segments.back().map_or(1, |segment| segment.id + 1);
        let file = File::options().create(true).truncate(true).read(true).write(true).open(self.path(id))?;
        let mut buffer = Vec::new();
        for kind in snapshot {
            frame::write(kind, &mut buffer);
        }
        file.write_all_at(&buffer, 0)?;
        file.sync_all()?;
        File::open(&self.folder)?.sync_all()?;
        let file = Arc::new(file);
        self.files.0.write().insert(id, Arc::clone(&file));
        self.segments.push_back(Segment { id, bytes: buffer.len() as u64, ends: HashMap::new() });
        self.active = Some(file);
        Ok(())
    }

    /// Where a frame will stand that begins `at` bytes into the next [`Self::write`].
    pub(super) fn place(&self, at: usize, length: usize) -> Place {
        let segment = self.segments.back();
        place(
            segment.map_or(0, |segment| segment.id),
            segment.map_or(0, |segment| segment.bytes) + at as u64,
            length,
        )
    }

    /// Appends to the active segment, without syncing. A write that fails leaves the journal as it was.
    pub(super) fn write(&mut self, buffer: &[u8]) -> io::Result<()> {
        let (Some(file), Some(segment)) = (&self.active, self.segments.back_mut()) else {
            return Err(io::Error::other("no segment is open"));
        };
        if let Err(error) = file.write_all_at(buffer, segment.bytes) {
            file.set_len(segment.bytes)?;
            return Err(error);
        }
        segment.bytes += buffer.len() as u64;
        Ok(())
    }

    /// What was written is on the disk when it returns.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.active.as_ref().map_or(Ok(()), |file| file.sync_data())
    }

    /// Notes that the active segment has a record of the partition.
    pub(super) fn note(&mut self, topic: u32, partition: u32, end: u64) {
        if let Some(segment) = self.segments.back_mut() {
            segment.ends.insert((topic, partition), end);
        }
    }

    /// Deletes the oldest segment if it is not the active one and `done` says so of each of its partitions; returns its
    /// id.
    pub(super) fn retire(&mut self, done: impl Fn(Key, u64) -> bool) -> io::Result<Option<u32>> {
        let oldest = self.segments.front().filter(|_| self.segments.len() > 1);
        let Some(segment) = oldest.filter(|segment| segment.ends.iter().all(|(&key, &end)| done(key, end)))
        else {
            return Ok(None);
        };
        let id = segment.id;
        self.files.0.write().remove(&id);
        fs::remove_file(self.path(id))?;
        self.segments.pop_front();
        Ok(Some(id))
    }
}

/// A segment is far below 4 GiB: retention / 8 and one batch.
fn place(segment: u32, at: u64, length: usize) -> Place {
    Place {
        segment,
        at: u32::try_from(at).unwrap_or(u32::MAX),
        length: u32::try_from(length).unwrap_or(u32::MAX),
    }
}
