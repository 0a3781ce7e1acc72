//! What dd-apply says: records for programs, tables for people.

use std::fmt::Write;

use dd_inspect::record::{Applied, Check, Exact, Rebuilt};

use crate::delivery::Delivery;
use crate::output::Images;
use crate::size::show;

/// The images as records have them, with the manifests that the output has.
pub fn rebuilt(images: &Images, delivery: &Delivery) -> Vec<Rebuilt> {
    let one = |top: &crate::output::images::Top| {
        let there = delivery.has_manifest(top.made);
        Rebuilt {
            manifest_digest: there.then_some(top.digest),
            config_digest: top.config,
            names: top.names.clone(),
            manifest: (there && top.made).then(|| "made".to_owned()),
        }
    };
    images.tops.iter().map(one).collect()
}

/// The digests for `--digestfile`, one a line: of the manifest or index, of the configuration where there is none.
pub fn digests(images: &[Rebuilt]) -> String {
    let digests = images.iter().filter_map(|image| image.manifest_digest.or(image.config_digest));
    digests.map(|digest| digest.to_string()).collect::<Vec<_>>().join("\n")
}

/// The table of what was rebuilt, and a line that sums up.
pub fn applied(applied: &Applied) -> String {
    let mut text = images(&applied.images);
    let what = match (applied.file_exact, applied.exact) {
        (true, _) => "the target's own file, bit for bit",
        (_, Exact::Config) => "the same configurations and contents of layers",
        _ => "the same manifests and layers",
    };
    let size = applied.size.map(|size| format!(" ({})", show(size))).unwrap_or_default();
    let verb = if applied.unchanged { "holds already" } else { "holds" };
    let expected = if applied.expected == "none" {
        "; verified against the package alone (--expect compares with what you know)"
    } else {
        "; it is what was expected"
    };
    let _ = writeln!(text, "{}{size} {verb} {what}{expected}", safe(&applied.output));
    text
}

/// The table for `--check`.
pub fn check(check: &Check) -> String {
    let mut text = images(&check.images);
    let free = |free: Option<u64>| match free {
        Some(free) => format!("{} there", show(free)),
        None => "-".to_owned(),
    };
    let output =
        check.output.as_deref().map_or_else(String::new, |output| format!(" to {}", safe(output)));
    let exact = if check.file_exact { ", the target's own file, bit for bit" } else { "" };
    let _ = writeln!(text, "the base will do: {}", safe(&check.bases.join(", ")));
    let _ = writeln!(
        text,
        "written  {:>12}  {}{output}{exact}",
        show(check.output_size),
        free(check.output_free)
    );
    let _ = writeln!(text, "memory   {:>12}  {}", show(check.memory), free(check.memory_available));
    let _ = writeln!(
        text,
        "scratch  {:>12}  {} (at most)",
        show(check.scratch),
        free(check.scratch_free)
    );
    text
}

fn images(images: &[Rebuilt]) -> String {
    let mut text = String::new();
    for image in images {
        let name = if image.names.is_empty() {
            "(no name)".to_owned()
        } else {
            safe(&image.names.join(", "))
        };
        let _ = writeln!(text, "{name}");
        if let Some(digest) = image.manifest_digest {
            let made = if image.manifest.is_some() { "  (made: the target had none)" } else { "" };
            let _ = writeln!(text, "  manifest  {digest}{made}");
        }
        if let Some(digest) = image.config_digest {
            let _ = writeln!(text, "  config    {digest}");
        }
    }
    text
}

/// A text from elsewhere, harmless on a terminal.
fn safe(text: &str) -> String {
    text.chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dd_inspect::digest::Digest;

    fn applied_record() -> Applied {
        Applied {
            package: "p".to_owned(),
            output: "app-2.tar".to_owned(),
            exact: Exact::File,
            file_exact: true,
            file_digest: Some(Digest::of(b"file")),
            size: Some(3 << 20),
            images: vec![Rebuilt {
                manifest_digest: Some(Digest::of(b"manifest")),
                config_digest: Some(Digest::of(b"config")),
                names: vec!["app:\u{1b}[2J2".to_owned()],
                manifest: None,
            }],
            bases: vec!["app-1.tar".to_owned()],
            expected: "none".to_owned(),
            unchanged: false,
        }
    }

    #[test]
    fn a_table_for_people() {
        insta::assert_snapshot!(applied(&applied_record()), @r"
        app:\u{1b}[2J2
          manifest  sha256:05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f
          config    sha256:b79606fb3afea5bd1609ed40b622142f1c98125abcfe89a76a661b0e8e343910
        app-2.tar (3.0 MiB) holds the target's own file, bit for bit; verified against the package alone (--expect compares with what you know)
        ");
    }

    #[test]
    fn digests_stand_one_a_line() {
        let mut images = applied_record().images;
        images.push(Rebuilt {
            manifest_digest: None,
            config_digest: Some(Digest::of(b"c")),
            names: Vec::new(),
            manifest: None,
        });
        assert_eq!(digests(&images), format!("{}\n{}", Digest::of(b"manifest"), Digest::of(b"c")));
    }
}
