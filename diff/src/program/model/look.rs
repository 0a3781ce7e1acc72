//! Finds the addresses in a stretch of the base's file.

use dd_inspect::failure::Failure;

use super::params::{Area, Content, Params};
use super::stretch::Stretch;
use super::sweep::Read;
use super::version::Version;
use super::{Executable, Kind, SYMBOL};

impl Executable {
    /// A stretch begins: these bytes of the base's file, from `base` on, go to `target` of the target's.
    pub(crate) fn begin(
        &mut self,
        base: u64,
        target: u64,
        bytes: &[u8],
        read: &mut Read<'_>,
    ) -> Result<(), Failure> {
        self.look(base, target, bytes, read)?;
        self.learn_frames(target);
        Ok(())
    }

    /// Finds the addresses of a stretch.
    pub(crate) fn look(
        &mut self,
        base: u64,
        target: u64,
        bytes: &[u8],
        read: &mut Read<'_>,
    ) -> Result<(), Failure> {
        self.frames.clear();
        self.references.clear();
        (self.predicted, self.told) = (0, 0);
        let end = base + bytes.len() as u64;
        let areas = &self.params.areas;
        let first = areas.partition_point(|area| area.offset + area.len <= base);
        let (from, to) = (&self.base, &self.target);
        let Params { lowest, machine, .. } = self.params;
        let stretch = Stretch { base, target, bytes, lowest, machine, from, to };
        let mut list = std::mem::take(&mut self.references);
        for area in areas.iter().skip(first).take_while(|area| area.offset < end) {
            let (from, to) = (area.offset.max(base), (area.offset + area.len).min(end));
            match area.content {
                Content::Code => self.finder.find(&stretch, area, (from, to), read, &mut list)?,
                Content::Pointers => list.extend(
                    Stretch::places(from, to, 8)
                        .filter_map(|place| stretch.pointer(place, Kind::Pointer)),
                ),
                Content::Near => list.extend(
                    Stretch::places(from, to, 4).filter_map(|place| stretch.near(place, self.code)),
                ),
                Content::FunctionNames | Content::FunctionValues | Content::Exceptions => {}
                Content::Functions => {
                    if let Some(tables) = &self.go {
                        stretch.functions(area, (from, to), (tables, &self.map), &mut list);
                    }
                }
                Content::FunctionRecords => {
                    if let Some(tables) = &self.go {
                        stretch.records((from, to), (tables, &self.map), &mut list);
                    }
                }
                Content::Frames => {
                    let first = list.len();
                    stretch.frames(area, (from, to), self.code, &mut list);
                    let found = list.get(first..).unwrap_or_default().iter();
                    let near = found.filter(|reference| reference.kind == Kind::Near);
                    self.frames.extend(near.map(|near| (near.at, near.target)));
                    if self.params.version >= Version::Fifth {
                        let tables = list.get_mut(first..).unwrap_or_default().iter_mut();
                        tables
                            .filter(|table| table.kind == Kind::FromStart)
                            .for_each(|table| table.kind = Kind::Table);
                    }
                }
                Content::FromStart => {
                    let (start, change) = self.start(area);
                    list.extend(
                        Stretch::places(from, to, 4)
                            .filter_map(|place| stretch.behind_start(place, start, change)),
                    );
                }
                Content::Symbols => {
                    let names = area.offset + area.len;
                    let moved = self.map.find(names as u32).0;
                    let change = names.wrapping_sub(u64::from(moved));
                    let records =
                        (from - area.offset) / SYMBOL..(to - area.offset).div_ceil(SYMBOL);
                    for place in records.map(|record| area.offset + record * SYMBOL) {
                        list.extend(stretch.name(place, area, change));
                        list.extend(stretch.pointer(place + 8, Kind::Symbol));
                    }
                }
            }
        }
        // The sweeps of two pages may disagree where they meet.
        let mut end = 0;
        list.retain(|reference| {
            let is_free = reference.at >= end;
            if is_free {
                end = reference.at + u32::from(reference.width);
            }
            is_free
        });
        self.references = list;
        Ok(())
    }

    /// The address at which an area begins, and how much lower it is than that of the target.
    fn start(&self, area: &Area) -> (u64, u64) {
        let moved = u64::from(self.map.find(area.offset as u32).0);
        let address = self.base.address(area.offset).unwrap_or(0);
        (address, address.wrapping_sub(self.target.address(moved).unwrap_or(address)))
    }
}
