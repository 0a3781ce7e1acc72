//! The target's own archive file, bit for bit.

use dd_inspect::package::{FileLayout, Range};

use super::plan::{Part, Plan};
use crate::rebuild::Piece;

/// The tar of the file: its skeleton with the layers put in.
pub fn plan(file: &FileLayout) -> Plan {
    let mut offset = file.skeleton;
    let mut parts = Vec::new();
    for part in &file.parts {
        if part.bytes > 0 {
            parts.push(Part::Document(Range { offset, len: part.bytes }));
            offset = offset.saturating_add(part.bytes);
        }
        parts.extend(part.layer.map(|layer| Part::Piece(Piece::Layer(layer))));
    }
    Plan { parts }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dd_inspect::digest::Digest;

    #[test]
    fn the_skeleton_is_cut_where_layers_stand() {
        let file = FileLayout {
            digest: Digest::of(b""),
            size: 0,
            encoding: None,
            corrections: None,
            tar_digest: None,
            skeleton: 100,
            parts: [vec![512, 0], vec![0, 1], vec![1024]]
                .into_iter()
                .map(|numbers| numbers.try_into().unwrap())
                .collect(),
        };
        let parts = [
            Part::Document(Range { offset: 100, len: 512 }),
            Part::Piece(Piece::Layer(0)),
            Part::Piece(Piece::Layer(1)),
            Part::Document(Range { offset: 612, len: 1024 }),
        ];
        assert_eq!(plan(&file).parts, parts);
    }
}
