use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::file::event_files;

/// Reads the lines of a folder of event files, in order, while files are written and rotated.
pub struct FileReader {
    folder: PathBuf,
    file: Option<BufReader<File>>,
    /// What is read of a line that is not whole yet.
    line: String,
}

impl FileReader {
    /// Reads from the oldest line, or only what comes after now. The folder need not exist yet.
    pub fn open(folder: &Path, from_beginning: bool) -> io::Result<Self> {
        let mut reader = Self { folder: folder.to_owned(), file: None, line: String::new() };
        if let Some(last) = reader.files()?.last().filter(|_| !from_beginning) {
            let mut file = File::open(last)?;
            file.seek(SeekFrom::End(0))?;
            reader.file = Some(BufReader::new(file));
        }
        Ok(reader)
    }

    /// The next line, without its end; none if there is none now.
    pub fn next_line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(line) = self.read_line()? {
                return Ok(Some(line));
            }
            let Some(next) = self.next_file()? else { return Ok(None) };
            // What was written to this file before it was full.
            if let Some(line) = self.read_line()? {
                return Ok(Some(line));
            }
            self.line.clear();
            self.file = Some(BufReader::new(File::open(next)?));
        }
    }

    fn read_line(&mut self) -> io::Result<Option<String>> {
        let Some(file) = &mut self.file else { return Ok(None) };
        file.read_line(&mut self.line)?;
        if self.line.ends_with('\n') {
            self.line.pop();
            return Ok(Some(std::mem::take(&mut self.line)));
        }
        Ok(None)
    }

    /// The file after the one that is read; the oldest one if that is deleted.
    fn next_file(&self) -> io::Result<Option<PathBuf>> {
        let files = self.files()?;
        let Some(file) = &self.file else { return Ok(files.into_iter().next()) };
        let current = file.get_ref().metadata()?.ino();
        let mut numbers = Vec::with_capacity(files.len());
        for path in &files {
            numbers.push(path.metadata()?.ino());
        }
        let next = numbers.iter().position(|number| *number == current).map_or(0, |at| at + 1);
        Ok(files.into_iter().nth(next))
    }

    fn files(&self) -> io::Result<Vec<PathBuf>> {
        if self.folder.exists() { event_files(&self.folder) } else { Ok(Vec::new()) }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write;

    use super::*;

    fn append(path: &Path, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(path).expect("a file");
        file.write_all(text.as_bytes()).expect("text is written");
    }

    fn all(reader: &mut FileReader) -> Vec<String> {
        std::iter::from_fn(|| reader.next_line().expect("the files can be read")).collect()
    }

    #[test]
    fn lines_are_followed_across_rotations() {
        let folder = std::env::temp_dir().join(format!("encore-file-reader-{}", std::process::id()));
        let (current, full) = (folder.join("events.jsonl"), folder.join("events-0000000001.jsonl"));
        let mut from_beginning = FileReader::open(&folder, true).expect("a reader");
        assert_eq!(all(&mut from_beginning), Vec::<String>::new(), "there is no folder yet");
        fs::create_dir_all(&folder).expect("a folder");
        append(&current, "one\ntw");
        let mut from_now = FileReader::open(&folder, false).expect("a reader");
        assert_eq!(all(&mut from_beginning), ["one"]);
        append(&current, "o\nthree\n");
        fs::rename(&current, &full).expect("a rotation");
        append(&current, "four\n");
        assert_eq!(all(&mut from_beginning), ["two", "three", "four"]);
        assert_eq!(all(&mut from_now), ["o", "three", "four"]);
        fs::remove_dir_all(&folder).expect("the folder is removed");
    }
}
