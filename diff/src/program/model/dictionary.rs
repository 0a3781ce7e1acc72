//! What new code that resembles the base's looks like: dictionaries for literals.

use dd_inspect::failure::Failure;

use super::literal::Turn;
use super::map::Map;
use super::params::{Content, Version};
use super::rows::Rows;
use super::space::Space;
use super::sweep::{Field, PAGE, Read};
use super::{Executable, moved_by_map};

impl Executable {
    /// Turns bytes of the base's file, which stand at `at`, into what new code that resembles them looks like.
    pub(crate) fn dictionary(
        &mut self,
        at: u64,
        bytes: &mut [u8],
        read: &mut Read<'_>,
    ) -> Result<(), Failure> {
        let end = at + bytes.len() as u64;
        let areas = &self.params.areas;
        let first = areas.partition_point(|area| area.offset + area.len <= at);
        for area in areas.iter().skip(first).take_while(|area| area.offset < end) {
            let (from, to) = (area.offset.max(at), (area.offset + area.len).min(end));
            if self.params.version >= Version::Third
                && let Some(rows) = Rows::of(area)
                && let Some(bytes) = bytes.get_mut((from - at) as usize..(to - at) as usize)
            {
                rows.turn(Turn::ToAddress, bytes, from, from);
            }
            if area.content != Content::Code {
                continue;
            }
            for page in from / PAGE..to.div_ceil(PAGE) {
                for field in self.pages.fields(area, page, read)? {
                    let place = page * PAGE + u64::from(field.at);
                    if place < from || place + 4 > to {
                        continue;
                    }
                    let bytes = bytes.get_mut((place - at) as usize..);
                    let Some(bytes) = bytes.and_then(|rest| rest.first_chunk_mut::<4>()) else {
                        continue;
                    };
                    let maps = (&self.base, &self.target, &self.map);
                    if let Some(new) = moved_code(maps, place, field, *bytes) {
                        *bytes = new;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The field of an instruction as it would stand in new code.
fn moved_code(
    (base, to, map): (&Space, &Space, &Map),
    place: u64,
    field: &Field,
    bytes: [u8; 4],
) -> Option<[u8; 4]> {
    let behind = base.address(place)?.wrapping_add(4 + u64::from(field.behind));
    let target = behind.wrapping_add(i64::from(i32::from_le_bytes(bytes)) as u64);
    let moved = moved_by_map((to, map), base.place(target)?, target).0;
    Some(to.distance(moved).to_be_bytes())
}
