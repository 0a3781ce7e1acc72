//! Corrects what was weighed by what came of it (docs/delta-format.md, "Mixing").

use super::squash::squash;

/// Points of one context.
const POINTS: usize = 33;

/// A correction that changes nothing: probabilities of 65536.
fn points() -> [u16; POINTS] {
    let mut points = [0; POINTS];
    for (point, place) in points.iter_mut().zip(-16..) {
        *point = (squash(place * 128) * 16) as u16;
    }
    points
}

/// Corrects probabilities by what came of them, in each of some contexts.
#[derive(Debug, Clone)]
pub(super) struct Refinement<const SIZE: usize>(Box<[[u16; POINTS]; SIZE]>);

impl<const SIZE: usize> Default for Refinement<SIZE> {
    fn default() -> Self {
        const { assert!(SIZE.is_power_of_two()) };
        Self(Box::new([points(); SIZE]))
    }
}

/// A point of a refinement, which learns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    context: usize,
    index: usize,
}

impl<const SIZE: usize> Refinement<SIZE> {
    /// Bytes of memory.
    pub(super) const MEMORY: u64 = (SIZE * POINTS * 2) as u64;

    /// Forgets what it learned.
    pub(super) fn again(mut self) -> Self {
        self.0.fill(points());
        self
    }

    /// What a stretched probability (−2047 to 2047) came to in a context, of 65536.
    #[inline(always)]
    pub(super) fn refine(&self, stretched: i32, context: usize) -> (i32, Point) {
        let context = context % SIZE;
        let place = (stretched + 2048) as usize % 4096;
        let (low, part) = (place >> 7, (place & 127) as i32);
        let points = &self.0[context];
        let value = i32::from(points[low]) * (128 - part) + i32::from(points[low + 1]) * part;
        (value >> 7, Point { context, index: low + (part >> 6) as usize })
    }

    /// The nearer point learns what the decision was.
    #[inline(always)]
    pub(super) fn learn(&mut self, point: Point, value: bool) {
        let point = &mut self.0[point.context][point.index];
        let goal = if value { 65_535 } else { 0 };
        *point = (i32::from(*point) + ((goal - i32::from(*point)) >> 6)) as u16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refinement_learns_how_sure_one_may_be() {
        let mut refinement = Refinement::<4>::default();
        let (start, _) = refinement.refine(0, 1);
        assert!((32_000..33_600).contains(&start), "{start}");
        for _ in 0..500 {
            let (_, point) = refinement.refine(0, 1);
            refinement.learn(point, true);
        }
        assert!(refinement.refine(0, 1).0 > 60_000);
        assert_eq!(refinement.refine(0, 2).0, start);
        assert!(refinement.refine(2047, 5).0 > refinement.refine(-2047, 5).0);
    }
}
