//! What new code that resembles the base's looks like: dictionaries for literals.

use dd_inspect::failure::Failure;

use super::finder::Finder;
use super::literal::Turn;
use super::map::Map;
use super::pairs::Window;
use super::params::{Area, Content};
use super::rows::Rows;
use super::space::Space;
use super::stretch::{Stretch, put, value};
use super::sweep::{Field, PAGE, Read};
use super::version::{Machine, Version};
use super::{Executable, Kind, moved_by_map};

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
            let maps = (&self.base, &self.target, &self.map);
            let pages = match &mut self.finder {
                Finder::X86_64(pages) => pages,
                Finder::AArch64(window) => {
                    let Some(bytes) = bytes.get_mut((from - at) as usize..(to - at) as usize)
                    else {
                        continue;
                    };
                    move_words(window, maps, area, (from, bytes), read)?;
                    continue;
                }
            };
            for page in from / PAGE..to.div_ceil(PAGE) {
                for field in pages.fields(area, page, read)? {
                    let place = page * PAGE + u64::from(field.at);
                    if place < from || place + 4 > to {
                        continue;
                    }
                    let bytes = bytes.get_mut((place - at) as usize..);
                    let Some(bytes) = bytes.and_then(|rest| rest.first_chunk_mut::<4>()) else {
                        continue;
                    };
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

/// Instructions of 4 bytes, which stand at `at` of the base's file, as they would stand in new code.
fn move_words(
    window: &mut Window,
    (base, to, map): (&Space, &Space, &Map),
    area: &Area,
    (at, bytes): (u64, &mut [u8]),
    read: &mut Read<'_>,
) -> Result<(), Failure> {
    let mut list = Vec::new();
    let machine = Machine::AArch64;
    let stretch = Stretch { base: at, target: at, bytes, lowest: 0, machine, from: base, to: base };
    let range = (at, at + bytes.len() as u64);
    window.find(&stretch, area, range, read, &mut list)?;
    for reference in list {
        let at = reference.at as usize;
        let (Kind::Word(form, back), Some(bytes)) =
            (reference.kind, bytes.get_mut(at..at + usize::from(reference.width)))
        else {
            continue;
        };
        let Some(place) = base.place(reference.target) else { continue };
        let target = moved_by_map((to, map), place, reference.target).0;
        let word = value(bytes) as u32;
        let word = match form {
            _ if form.is_turned() => form.with(word, form.turned(to, target)),
            _ if back > 0 => form.meaning(word, target, 0),
            _ => word,
        };
        put(bytes, u64::from(word));
    }
    Ok(())
}
