use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::event::message::{EventMessage, PublishOutcome, publishable, too_large};
use encore_domain::ports::EventPublisher;
use encore_event_format::to_json_line;

/// What the publisher is called in errors.
const WHAT: &str = "event file";
/// The names of the files of events begin with this.
const EVENTS: &str = "events";
/// Those of the facts of queues.
const QUEUE_FACTS: &str = "queue-facts";
const EXTENSION: &str = ".jsonl";
/// How often the lock is tried. A process that writes a batch has it for some milliseconds.
const LOCK_TRIES: u32 = 20;
/// The pause between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLimits {
    /// A file is full when the next event would make it larger. An event that is larger by itself gets a file of its own.
    pub file_bytes_max: u64,
    /// The most files, the one that is written included: at least 1. The oldest goes when there are more.
    pub files_max: usize,
}

/// [`EventPublisher`] to files of JSON lines in a folder.
///
/// Several processes may have the same folder: each locks it for a batch.
#[derive(Clone, Debug)]
pub struct FilePublisher {
    files: Files,
    limits: FileLimits,
}

/// Files of a folder whose names begin in the same way.
#[derive(Clone, Debug)]
struct Files {
    folder: PathBuf,
    stem: &'static str,
}

impl FilePublisher {
    /// Publishes to the files `events…` of this folder, which is created when there is something to write.
    pub fn new(folder: PathBuf, limits: FileLimits) -> Self {
        Self { files: Files { folder, stem: EVENTS }, limits }
    }

    /// Publishes to the files `queue-facts…`.
    pub fn of_queue_facts(folder: PathBuf, limits: FileLimits) -> Self {
        Self { files: Files { folder, stem: QUEUE_FACTS }, limits }
    }
}

#[async_trait]
impl EventPublisher for FilePublisher {
    async fn publish(&self, batch: &[EventMessage]) -> Result<Vec<PublishOutcome>, Unavailable> {
        let mut lines = Vec::with_capacity(batch.len());
        let outcomes = publishable(batch, |event| match to_json_line(event) {
            _ if too_large(event).is_some() => too_large(event),
            Ok(line) => {
                lines.push(line);
                None
            }
            Err(error) => Some(error.to_string()),
        });
        if !lines.is_empty() {
            let Self { files, limits } = self.clone();
            let writing = tokio::task::spawn_blocking(move || files.append(limits, &lines));
            writing.await.map_err(io::Error::other).flatten().map_err(|error| Unavailable::new(WHAT, error))?;
        }
        Ok(outcomes)
    }
}

/// The files of events of a folder, the oldest first.
pub fn event_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    Files::of_events(folder).all()
}

/// A moment after which no event of a folder was deleted; none if none ever was.
pub(crate) fn kept_since(folder: &Path) -> io::Result<Option<SystemTime>> {
    Files::of_events(folder).kept_since()
}

impl Files {
    fn of_events(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), stem: EVENTS }
    }

    /// The name of the file that is written now.
    fn current(&self) -> String {
        format!("{}{EXTENSION}", self.stem)
    }

    /// All files, the oldest first.
    fn all(&self) -> io::Result<Vec<PathBuf>> {
        let mut files: Vec<PathBuf> = self.full()?.into_iter().map(|(_, path)| path).collect();
        files.extend(Some(self.folder.join(self.current())).filter(|current| current.exists()));
        Ok(files)
    }

    /// The full files and their numbers, in order.
    fn full(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let rest = name.strip_prefix(self.stem).and_then(|rest| rest.strip_prefix('-'));
            if let Some(Ok(number)) = rest.and_then(|rest| rest.strip_suffix(EXTENSION)).map(str::parse) {
                files.push((number, path));
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    /// A moment after which nothing was deleted: when the oldest file was written last. None if no file was ever deleted.
    fn kept_since(&self) -> io::Result<Option<SystemTime>> {
        let is_first = self.full()?.first().is_none_or(|(number, _)| *number == 1);
        if is_first && !self.folder.join(self.deleted()).exists() {
            return Ok(None);
        }
        let oldest = self.all()?.into_iter().next();
        oldest.map(|path| fs::metadata(path)?.modified()).transpose()
    }

    /// Appends lines. When it returns, they are on the disk.
    fn append(&self, limits: FileLimits, lines: &[String]) -> io::Result<()> {
        own(&self.folder)?;
        let lock = private().append(true).open(self.folder.join(self.lock()))?;
        lock_soon(&lock)?;
        let (mut file, mut bytes) = open_to_append(&self.folder, &self.current())?;
        let mut text = String::new();
        for line in lines {
            let with_line = bytes + text.len() as u64 + line.len() as u64 + 1;
            if with_line > limits.file_bytes_max && with_line > line.len() as u64 + 1 {
                write(&mut file, &text)?;
                self.rotate(limits)?;
                (file, bytes) = open_to_append(&self.folder, &self.current())?;
                text.clear();
            }
            text.push_str(line);
            text.push('\n');
        }
        write(&mut file, &text)
    }

    /// The name of the file that is locked while a process writes.
    fn lock(&self) -> String {
        if self.stem == EVENTS { "lock".to_owned() } else { format!("{}.lock", self.stem) }
    }

    /// The name of the file that is there when a file was deleted.
    fn deleted(&self) -> String {
        if self.stem == EVENTS { "deleted".to_owned() } else { format!("{}.deleted", self.stem) }
    }

    /// Gives the current file a number, and removes the oldest files beyond the limit.
    fn rotate(&self, limits: FileLimits) -> io::Result<()> {
        let files = self.full()?;
        let number = files.last().map_or(1, |(number, _)| number + 1);
        let full = format!("{}-{number:010}{EXTENSION}", self.stem);
        fs::rename(self.folder.join(self.current()), self.folder.join(full))?;
        let surplus = (files.len() + 2).saturating_sub(limits.files_max.max(1));
        if surplus > 0 {
            private().append(true).open(self.folder.join(self.deleted()))?;
        }
        for path in self.all()?.into_iter().take(surplus) {
            fs::remove_file(path)?;
        }
        sync(&self.folder)
    }
}

/// Creates the folder for this user alone. One of another user than root is refused, and a link: the default is a name that others can
/// guess, in a folder in which everybody may create files.
pub(crate) fn own(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let found = fs::symlink_metadata(folder)?;
    if found.is_dir() && [0, rustix::process::geteuid().as_raw()].contains(&found.uid()) {
        return Ok(());
    }
    Err(io::Error::other("the folder is a link, or belongs to another user"))
}

/// Options for a file that only this user may read.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).mode(0o600);
    options
}

/// Locks, unless another process writes for longer than [`LOCK_TRIES`] pauses.
pub(crate) fn lock_soon(lock: &File) -> io::Result<()> {
    for _ in 0..LOCK_TRIES {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::other("another process writes there"))
}

/// Writes to the disk.
pub(crate) fn write(file: &mut File, text: &str) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    file.sync_data()
}

/// Opens a file to append to, without a line that was torn when a process died. Nobody was told that its event is published. Returns
/// its size, too.
pub(crate) fn open_to_append(folder: &Path, name: &str) -> io::Result<(File, u64)> {
    let path = folder.join(name);
    let is_new = !path.exists();
    let mut file = private().read(true).append(true).open(path)?;
    if is_new {
        sync(folder)?;
    }
    let bytes = file.seek(SeekFrom::End(0))?;
    let whole = whole_lines(&mut file, bytes)?;
    if whole < bytes {
        file.set_len(whole)?;
    }
    Ok((file, whole))
}

/// How many bytes the whole lines of a file have. It is read from its end, a block at a time.
fn whole_lines(file: &mut File, bytes: u64) -> io::Result<u64> {
    const BLOCK: u64 = 64 * 1024;
    let mut end = bytes;
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        let mut block = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        file.take(end - start).read_to_end(&mut block)?;
        if let Some(last) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Names of files are durable when their folder is.
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let id: uuid::Uuid = encore_port_tests::fixtures::id();
            let name = format!("encore-event-files-{}-{}", std::process::id(), id.simple());
            Self(std::env::temp_dir().join(name))
        }

        fn append(&self, limits: FileLimits, lines: &[&str]) {
            let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            Files::of_events(&self.0).append(limits, &lines).expect("the lines are written");
        }

        fn contents(&self) -> Vec<String> {
            let files = event_files(&self.0).expect("the folder can be read");
            files.iter().map(|path| fs::read_to_string(path).expect("a file")).collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const LARGE: FileLimits = FileLimits { file_bytes_max: 1_000_000, files_max: 3 };
    const SMALL: FileLimits = FileLimits { file_bytes_max: 8, files_max: 3 };

    #[test]
    fn full_files_are_rotated_and_the_oldest_go() {
        let folder = Folder::new();
        folder.append(SMALL, &["one", "two", "three", "4", "a long line", "6"]);
        assert_eq!(folder.contents(), ["three\n4\n", "a long line\n", "6\n"]);
        let oldest = fs::metadata(folder.0.join("events-0000000002.jsonl")).and_then(|file| file.modified());
        assert_eq!(kept_since(&folder.0).expect("the folder"), Some(oldest.expect("the time of a file")));
        folder.append(SMALL, &["7"]);
        assert_eq!(folder.contents(), ["three\n4\n", "a long line\n", "6\n7\n"]);
        folder.append(SMALL, &["eight"]);
        assert_eq!(folder.contents(), ["a long line\n", "6\n7\n", "eight\n"]);
        folder.append(FileLimits { files_max: 1, ..SMALL }, &["nine"]);
        assert_eq!(folder.contents(), ["nine\n"]);
        assert!(kept_since(&folder.0).expect("the folder").is_some());
    }

    #[test]
    fn a_torn_line_is_cut_off() {
        let folder = Folder::new();
        folder.append(LARGE, &["one", "two"]);
        assert_eq!(kept_since(&folder.0).expect("the folder"), None, "nothing was deleted");
        for torn in ["thr".to_owned(), "x".repeat(200_000)] {
            let mut file = OpenOptions::new().append(true).open(folder.0.join("events.jsonl")).expect("the file");
            file.write_all(torn.as_bytes()).expect("a torn line");
        }
        folder.append(LARGE, &["three"]);
        assert_eq!(folder.contents(), ["one\ntwo\nthree\n"]);
    }

    #[test]
    fn files_are_for_this_user_alone_and_a_link_is_not_followed() {
        let folder = Folder::new();
        folder.append(LARGE, &["one"]);
        let mode = |path: &Path| fs::metadata(path).expect("it is there").mode() & 0o777;
        assert_eq!((mode(&folder.0), mode(&folder.0.join("events.jsonl"))), (0o700, 0o600));
        let link = Folder::new();
        std::os::unix::fs::symlink(&folder.0, &link.0).expect("a link");
        assert!(Files::of_events(&link.0).append(LARGE, &["two".to_owned()]).is_err());
        fs::remove_file(&link.0).expect("the link is removed");
        assert_eq!(folder.contents(), ["one\n"]);
    }

    #[test]
    fn two_processes_do_not_write_at_once() {
        let folder = Folder::new();
        folder.append(LARGE, &["one"]);
        let other = File::open(folder.0.join("lock")).expect("the lock file");
        other.lock().expect("a lock");
        assert!(Files::of_events(&folder.0).append(LARGE, &["two".to_owned()]).is_err());
        drop(other);
        folder.append(LARGE, &["two"]);
        assert_eq!(folder.contents(), ["one\ntwo\n"]);
    }

    #[test]
    fn facts_of_queues_have_files_of_their_own() {
        let folder = Folder::new();
        folder.append(SMALL, &["one"]);
        let facts = Files { folder: folder.0.clone(), stem: QUEUE_FACTS };
        facts.append(SMALL, &["a long line".to_owned(), "another".to_owned()]).expect("the lines are written");
        assert_eq!(folder.contents(), ["one\n"]);
        let names = facts.all().expect("the folder can be read");
        let names: Vec<_> = names.iter().filter_map(|path| path.file_name()?.to_str()).collect();
        assert_eq!(names, ["queue-facts-0000000001.jsonl", "queue-facts.jsonl"]);
        facts.append(FileLimits { files_max: 1, ..SMALL }, &["the last".to_owned()]).expect("the line is written");
        assert!(facts.kept_since().expect("the folder").is_some());
        assert_eq!(kept_since(&folder.0).expect("the folder"), None, "no event was deleted");
    }
}
