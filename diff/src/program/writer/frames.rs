//! Encodings that are entered.

/// An entered encoding.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    /// The length that comes out, for an encoder.
    pub(super) encoded_len: Option<u64>,
    /// The number and the length of a numbered digest.
    pub(super) digest: Option<(usize, usize)>,
    /// The memory that it counts as.
    pub(super) held: u64,
    /// Bytes that went in.
    pub(super) given: u64,
}

/// Encodings that are entered, the innermost last, and what memory they count as.
#[derive(Debug, Default)]
pub(super) struct Frames {
    entered: Vec<Frame>,
    held: u64,
    peak: u64,
}

impl Frames {
    /// How many there are.
    pub(super) fn depth(&self) -> usize {
        self.entered.len()
    }

    /// The most memory so far.
    pub(super) fn peak(&self) -> u64 {
        self.peak
    }

    /// So many bytes are held beside them for a while.
    pub(super) fn hold(&mut self, bytes: u64) {
        self.peak = self.peak.max(self.held + bytes);
    }

    pub(super) fn enter(&mut self, frame: Frame) {
        self.hold(frame.held);
        self.held += frame.held;
        self.entered.push(frame);
    }

    /// Ends the innermost one, if there is one.
    pub(super) fn leave(&mut self) -> Option<Frame> {
        let frame = self.entered.pop()?;
        self.held -= frame.held;
        Some(frame)
    }

    /// Bytes go in, through digests up to an encoder. Returns how many frames they entered, and whether they came out.
    pub(super) fn pass(&mut self, len: u64) -> (u64, bool) {
        for (number, frame) in (1..).zip(self.entered.iter_mut().rev()) {
            frame.given += len;
            if frame.encoded_len.is_some() {
                return (number, false);
            }
        }
        (self.entered.len() as u64, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_through_digests_up_to_an_encoder() {
        let mut frames = Frames::default();
        assert_eq!((frames.pass(1), frames.leave()), ((0, true), None));
        frames.enter(Frame { digest: Some((0, 20)), ..Frame::default() });
        assert_eq!(frames.pass(10), (1, true));
        frames.enter(Frame { encoded_len: Some(7), held: 100, ..Frame::default() });
        frames.enter(Frame::default());
        assert_eq!((frames.pass(30), frames.depth()), ((2, false), 3));
        let given = |frames: &mut Frames| frames.leave().map(|frame| frame.given);
        assert_eq!((given(&mut frames), given(&mut frames)), (Some(30), Some(30)));
        assert_eq!((frames.pass(7), given(&mut frames)), ((1, true), Some(17)));
    }

    #[test]
    fn the_most_memory_is_known() {
        let mut frames = Frames::default();
        let frame = |held| Frame { held, ..Frame::default() };
        frames.enter(frame(100));
        frames.enter(frame(50));
        frames.leave();
        assert_eq!(frames.peak(), 150);
        frames.hold(20);
        assert_eq!(frames.peak(), 150);
        frames.hold(60);
        frames.leave();
        assert_eq!((frames.peak(), frames.depth()), (160, 0));
    }
}
