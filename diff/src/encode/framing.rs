//! Writes framing of archives, which is computed.

use anyhow::Context;

use super::emit::Emitter;
use super::opened::{Framing, Part};
use crate::program::ids::generator::ZIP;
use crate::zips::encoder::ZipEncoder;

impl Emitter<'_> {
    /// Writes framing of an archive, which was seen to be described.
    ///
    /// # Errors
    /// What reading the base's archive fails with; framing that does not follow on what was written before.
    pub(super) fn framing(&mut self, framing: &Framing) -> anyhow::Result<()> {
        let Framing { plan, layer, base, part, len } = framing;
        let (zips, odd) = (&mut self.zips, "framing that cannot be described");
        let told = match part {
            Part::Begin => {
                let file = match plan.base {
                    Some(place) => {
                        self.writer.reads(place.directory_len)?;
                        Some((self.source(*layer)?, *base))
                    }
                    None => None,
                };
                let (zips, sources) = (&mut self.zips, &mut self.sources);
                let describe = |columns: &mut _| zips.begin(plan, file, sources, columns);
                self.writer.generate(ZIP, *len, describe)?
            }
            Part::Member(number) => {
                let member = plan.members.get(*number as usize).context(odd)?;
                let sources = &mut self.sources;
                let describe = |columns: &mut _| zips.member(member, sources, columns);
                self.writer.generate(ZIP, *len, describe)?
            }
            Part::Directory => {
                for len in zips.directory().context(odd)? {
                    let describe = |columns: &mut _| Some(ZipEncoder::directory_piece(columns));
                    self.writer.generate(ZIP, len, describe)?;
                }
                true
            }
        };
        anyhow::ensure!(told, odd);
        Ok(())
    }
}
