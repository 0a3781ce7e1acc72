//! Images described as short lines of text.
//!
//! A layer is a list of lines, `KIND PATH …`, in the order of the tar:
//!
//! | line | makes |
//! |---|---|
//! | `dir PATH`, `fifo PATH` | what they say |
//! | `text PATH WORDS…` | a file with these words and a newline |
//! | `noise PATH SEED SIZE [EDITS]` | a file of bytes that do not compress, with so many places changed |
//! | `prose PATH SEED SIZE [EDITS]` | a file of words, likewise |
//! | `symlink PATH TO`, `hardlink PATH TO` | links |
//! | `whiteout PATH` | the file that removes PATH (OCI image specification, "Whiteouts") |
//! | `mtime SECONDS` | the time of what follows |
//! | `bytes PATH HEX…` | a file with these bytes; in PATH `%XX` is a byte |

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use serde_json::json;

/// An image: its layers as tars, bottom first.
#[derive(Debug, Clone)]
pub struct Image {
    /// `repository:tag`.
    pub name: String,
    pub layers: Vec<Vec<u8>>,
    /// `OS/ARCH`.
    pub platform: (String, String),
}

impl Image {
    pub fn new(name: &str) -> Self {
        let platform = ("linux".to_owned(), "amd64".to_owned());
        Self { name: name.to_owned(), layers: Vec::new(), platform }
    }

    /// Adds a layer.
    #[must_use]
    pub fn layer(self, lines: &str) -> Self {
        self.raw_layer(layer(lines))
    }

    /// Adds a layer given as bytes.
    #[must_use]
    pub fn raw_layer(mut self, bytes: Vec<u8>) -> Self {
        self.layers.push(bytes);
        self
    }

    #[must_use]
    pub fn platform(mut self, os: &str, arch: &str) -> Self {
        self.platform = (os.to_owned(), arch.to_owned());
        self
    }

    /// The configuration document.
    pub fn config(&self) -> Vec<u8> {
        let diff_ids: Vec<_> =
            self.layers.iter().map(|layer| super::world::sha256(layer)).collect();
        let history: Vec<_> = diff_ids.iter().map(|_| json!({"created_by": "a test"})).collect();
        let config = json!({
            "architecture": self.platform.1,
            "os": self.platform.0,
            "config": {"Cmd": ["/bin/app"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": history,
        });
        config.to_string().into_bytes()
    }
}

/// Two versions of an application, as most tests need them: a shared layer, and one with files edited, moved, added, removed and
/// touched.
pub fn versions() -> (Image, Image) {
    let system = "dir etc\ntext etc/os-release Test 1\nprose usr/share/words 1 60000\nnoise lib/libc.so 2 90000";
    let one = "mtime 1700000000\ndir app\nnoise app/main 3 120000\nprose app/readme 4 30000\nprose app/old-place 5 20000\n\
               text app/gone bye\nsymlink app/current main\nhardlink app/again app/main";
    let two = "mtime 1710000000\ndir app\nnoise app/main 3 120000 9\nprose app/readme 4 30000 2\nprose app/new/place 5 20000\n\
               text app/added hello\nsymlink app/current main\nhardlink app/again app/main\nwhiteout app/gone";
    let image = |name: &str, layer: &str| Image::new(name).layer(system).layer(layer);
    (image("example/app:1", one), image("example/app:2", two))
}

/// The tar of a layer.
pub fn layer(lines: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut mtime = 1_600_000_000;
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (kind, rest) = line.split_once(' ').unwrap_or_else(|| panic!("no path: {line}"));
        let (path, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        if kind == "mtime" {
            mtime = path.parse().expect("seconds");
            continue;
        }
        entry(&mut tar, kind, path, rest, mtime);
    }
    tar.into_inner().expect("a tar in memory")
}

fn entry(tar: &mut tar::Builder<Vec<u8>>, kind: &str, path: &str, rest: &str, mtime: u64) {
    let mut header = tar::Header::new_gnu();
    header.set_mtime(mtime);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mode(if kind == "dir" { 0o755 } else { 0o644 });
    let mut path = unescape(path);
    let mut content = Vec::new();
    let kind = match kind {
        "dir" => tar::EntryType::Directory,
        "fifo" => tar::EntryType::Fifo,
        "symlink" => tar::EntryType::Symlink,
        "hardlink" => tar::EntryType::Link,
        "whiteout" => {
            let slash = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
            path.splice(slash..slash, *b".wh.");
            tar::EntryType::Regular
        }
        "text" | "bytes" | "noise" | "prose" => {
            content = file(kind, rest);
            tar::EntryType::Regular
        }
        other => panic!("unknown kind of line: {other}"),
    };
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    let path: OsString = OsStringExt::from_vec(path);
    match kind {
        tar::EntryType::Symlink | tar::EntryType::Link => tar.append_link(&mut header, path, rest),
        _ => tar.append_data(&mut header, path, content.as_slice()),
    }
    .expect("an entry");
}

fn file(kind: &str, rest: &str) -> Vec<u8> {
    match kind {
        "text" => format!("{rest}\n").into_bytes(),
        "bytes" => hex::decode(rest.replace(' ', "")).expect("hex digits"),
        _ => {
            let numbers: Vec<u64> =
                rest.split(' ').map(|word| word.parse().expect("a number")).collect();
            let mut bytes =
                if kind == "noise" { noise(numbers[0]) } else { prose(numbers[0]) }(numbers[1]);
            edit(&mut bytes, numbers.get(2).copied().unwrap_or(0));
            bytes
        }
    }
}

fn unescape(path: &str) -> Vec<u8> {
    let mut parts = path.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(code, 16).expect("%XX"));
        bytes.extend(rest.as_bytes());
    }
    bytes
}

/// A generator of numbers (Marsaglia's xorshift64, 2003).
fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

fn noise(seed: u64) -> Box<dyn Fn(u64) -> Vec<u8>> {
    Box::new(move |size| {
        let mut next = random(seed);
        (0..size).map(|_| (next() >> 32) as u8).collect()
    })
}

fn prose(seed: u64) -> Box<dyn Fn(u64) -> Vec<u8>> {
    const WORDS: [&str; 16] = [
        "base", "target", "layer", "digest", "the", "of", "a", "reads", "writes", "image",
        "package", "byte", "stream", "record", "and", "verifies",
    ];
    Box::new(move |size| {
        let mut next = random(seed);
        let mut text = String::new();
        while (text.len() as u64) < size {
            let number = next();
            text += WORDS[(number % 16) as usize];
            text.push(if number >> 60 == 0 { '\n' } else { ' ' });
        }
        let mut bytes = text.into_bytes();
        bytes.truncate(usize::try_from(size).expect("a small file"));
        bytes
    })
}

/// Changes, inserts and removes a few bytes at so many places.
fn edit(bytes: &mut Vec<u8>, places: u64) {
    let mut next = random(places);
    for place in 0..places {
        let at = (next() % (bytes.len() as u64 - 16)) as usize;
        match place % 3 {
            0 => bytes[at] = bytes[at].wrapping_add(1),
            1 => drop(bytes.splice(at..at, *b"inserted")),
            _ => drop(bytes.drain(at..at + 5)),
        }
    }
}

#[test]
fn layers_are_what_their_lines_say() {
    let tar = layer(
        "dir etc\ntext etc/motd Hello, you\nwhiteout etc/x\nnoise a%ff 1 100 3\nsymlink l etc/motd",
    );
    let mut archive = tar::Archive::new(tar.as_slice());
    let entries = archive.entries().expect("entries").map(|entry| {
        let entry = entry.expect("an entry");
        (entry.path_bytes().into_owned(), entry.size())
    });
    let entries: Vec<_> = entries.collect();
    let expected: [(&[u8], u64); 5] =
        [(b"etc", 0), (b"etc/motd", 11), (b"etc/.wh.x", 0), (b"a\xff", 103), (b"l", 0)];
    assert_eq!(
        entries.iter().map(|(path, size)| (path.as_slice(), *size)).collect::<Vec<_>>(),
        expected
    );
}
