//! Where the package comes from: a file, stdin, or a `package` record on stdin.

use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::path::{Path, PathBuf};

use dd_inspect::fail;
use dd_inspect::package::{Options, Reader};
use dd_inspect::record;
use dd_inspect::stage::Stage;

/// An open package.
#[derive(Debug)]
pub struct Package {
    /// The file, as the user named it; `-` for stdin.
    pub name: String,
    /// Its reader.
    pub reader: Reader,
    /// It is a plain tar on disk: its blobs are read in place.
    pub in_place: bool,
}

/// Opens the package.
///
/// stdin is read only without a path or with `-`: the first byte tells a package from records.
///
/// # Errors
/// `not-found`, `package-corrupt`, `unsupported`; `usage` for a terminal or records without a package.
pub fn open(path: Option<&Path>, options: &Options, stage: &mut Stage) -> anyhow::Result<Package> {
    match path {
        Some(path) if path != Path::new("-") => open_file(path.to_owned(), options),
        _ => open_stdin(options, stage),
    }
}

fn open_file(path: PathBuf, options: &Options) -> anyhow::Result<Package> {
    let reader = Reader::open_path(&path, options)?;
    let mut start = [0; 1];
    let in_place =
        path.is_file() && std::fs::File::open(&path)?.read(&mut start)? == 1 && start[0] != 0x28;
    Ok(Package { name: path.display().to_string(), reader, in_place })
}

fn open_stdin(options: &Options, stage: &mut Stage) -> anyhow::Result<Package> {
    if io::stdin().is_terminal() {
        fail!(Usage, "no package is given, and stdin is a terminal";
            "dd-apply PACKAGE --base REF --output FILE, or … | dd-pack -o PACKAGE | dd-apply --base REF --output FILE");
    }
    let mut stdin = BufReader::with_capacity(128 << 10, io::stdin());
    if stdin.fill_buf()?.first() != Some(&b'{') {
        let reader = Reader::open(stdin, options)?;
        return Ok(Package { name: "-".to_owned(), reader, in_place: false });
    }
    let mut input = stage.input_from(Box::new(stdin))?;
    let mut packages: Vec<record::Package> = Vec::new();
    while let Some(line) = input.next_record()? {
        match line.kind.as_str() {
            "package" => packages.push(line.parse()?),
            _ => stage.pass(&line)?,
        }
    }
    match &packages[..] {
        [package] => match package.path() {
            Some(path) => {
                stage.reads("the package", &path)?;
                open_file(path, options)
            }
            None => {
                fail!(Usage, "the package is not in a file"; "dd-pack -o FILE writes one; with -o - its bytes are read instead of records")
            }
        },
        [] => {
            fail!(Usage, "stdin has records but no package"; "dd-inspect | dd-extract | dd-diff | dd-pack -o FILE | dd-apply")
        }
        many => fail!(Usage, "stdin names {} packages", many.len(); "apply one after the other"),
    }
}
