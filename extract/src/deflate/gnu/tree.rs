//! Code lengths as GNU gzip makes them.
//!
//! Huffman's algorithm over a binary heap. Of equal counts the flatter subtree comes first, else what the heap happens to
//! have on top; so the order of its operations is part of the result. Lengths above the limit are mended afterwards.

/// Leaves and inner nodes of the largest alphabet.
const NODES: usize = 2 * 286 - 1;
/// The longest code.
const MAX_BITS: usize = 15;

/// Nodes that wait to be joined, least first. Places count from 1.
struct Heap {
    nodes: [u16; NODES + 2],
    len: usize,
    counts: [u32; NODES],
    depths: [u8; NODES],
}

impl Heap {
    /// Whether a node comes out before another one.
    fn before(&self, a: u16, b: u16) -> bool {
        let key = |node: u16| (self.counts[usize::from(node)], self.depths[usize::from(node)]);
        key(a) <= key(b)
    }

    /// Moves the node at a place down to where it belongs.
    fn sift(&mut self, mut place: usize) {
        let node = self.nodes[place];
        loop {
            let mut child = 2 * place;
            if child > self.len {
                break;
            }
            if child < self.len && self.before(self.nodes[child + 1], self.nodes[child]) {
                child += 1;
            }
            if self.before(node, self.nodes[child]) {
                break;
            }
            self.nodes[place] = self.nodes[child];
            place = child;
        }
        self.nodes[place] = node;
    }

    fn push_leaf(&mut self, symbol: usize, count: u32) {
        self.len += 1;
        self.nodes[self.len] = symbol as u16;
        self.counts[symbol] = count;
    }
}

/// The length of each symbol's code, and the last symbol that has one. There are always two codes at least.
pub(super) fn lengths<const N: usize>(counts: &[u32; N], limit: usize) -> ([u8; N], usize) {
    let mut heap = Heap { nodes: [0; NODES + 2], len: 0, counts: [0; NODES], depths: [0; NODES] };
    let mut last = None;
    for (symbol, &count) in counts.iter().enumerate() {
        if count > 0 {
            heap.push_leaf(symbol, count);
            last = Some(symbol);
        }
    }
    while heap.len < 2 {
        let symbol = usize::from(last == Some(0));
        last = last.max(Some(symbol));
        heap.push_leaf(symbol, 1);
    }
    let last = last.unwrap_or(0);
    for place in (1..=heap.len / 2).rev() {
        heap.sift(place);
    }
    let (order, parents) = join(&mut heap, N);
    (measure(&order, &parents, last, limit), last)
}

/// Joins the two least nodes until one is left: all nodes, the latest joined first, and their parents.
fn join(heap: &mut Heap, first: usize) -> (Vec<u16>, [u16; NODES]) {
    let mut order = Vec::with_capacity(NODES);
    let mut parents = [0; NODES];
    let mut joined = first;
    while heap.len >= 2 {
        let least = heap.nodes[1];
        heap.nodes[1] = heap.nodes[heap.len];
        heap.len -= 1;
        heap.sift(1);
        let next = heap.nodes[1];
        order.extend([least, next]);
        let (a, b) = (usize::from(least), usize::from(next));
        heap.counts[joined] = heap.counts[a] + heap.counts[b];
        heap.depths[joined] = heap.depths[a].max(heap.depths[b]) + 1;
        (parents[a], parents[b]) = (joined as u16, joined as u16);
        heap.nodes[1] = joined as u16;
        joined += 1;
        heap.sift(1);
    }
    order.push(heap.nodes[1]);
    order.reverse();
    (order, parents)
}

/// Lengths from the root down; where they pass the limit, leaves above it move down to make room.
fn measure<const N: usize>(
    order: &[u16],
    parents: &[u16; NODES],
    last: usize,
    limit: usize,
) -> [u8; N] {
    let mut depths = [0u8; NODES];
    let mut per_len = [0usize; MAX_BITS + 2];
    let mut too_long = 0i32;
    for &node in &order[1..] {
        let node = usize::from(node);
        let mut depth = usize::from(depths[usize::from(parents[node])]) + 1;
        if depth > limit {
            depth = limit;
            too_long += 1;
        }
        depths[node] = depth as u8;
        if node <= last {
            per_len[depth] += 1;
        }
    }
    if too_long > 0 {
        while too_long > 0 {
            let len = (1..limit).rev().find(|&len| per_len[len] > 0).unwrap_or(1);
            per_len[len] = per_len[len].saturating_sub(1);
            per_len[len + 1] += 2;
            per_len[limit] = per_len[limit].saturating_sub(1);
            too_long -= 2;
        }
        // The rarest leaves, which were joined first, get the longest codes.
        let mut leaves = order.iter().rev().map(|&node| usize::from(node)).filter(|n| *n <= last);
        for len in (1..=limit).rev() {
            for leaf in leaves.by_ref().take(per_len[len]) {
                depths[leaf] = len as u8;
            }
        }
    }
    std::array::from_fn(|symbol| if symbol <= last { depths[symbol] } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_two_codes_at_least() {
        assert_eq!(lengths(&[0; 30], 15).1, 1);
        let mut one = [0; 30];
        one[7] = 3;
        let (lens, last) = lengths(&one, 15);
        assert_eq!((lens[0], lens[7], last), (1, 1, 7));
        one = [0; 30];
        one[0] = 3;
        let (lens, last) = lengths(&one, 15);
        assert_eq!((lens[0], lens[1], last), (1, 1, 1));
    }

    #[test]
    fn the_limit_holds_and_the_code_is_complete() {
        let mut counts = [0u32; 30];
        let (mut a, mut b) = (1, 1);
        for count in &mut counts {
            *count = a;
            (a, b) = (b, a + b);
        }
        for limit in [5, 7, 15] {
            let (lens, _) = lengths(&counts, limit);
            assert!(lens.iter().all(|&len| len > 0 && usize::from(len) <= limit));
            assert_eq!(lens.iter().map(|&len| 1u32 << (15 - len)).sum::<u32>(), 1 << 15);
            assert!(lens.is_sorted_by(|a, b| a >= b), "{lens:?}");
        }
    }
}
