//! Whom the coded bytes are charged to: each stream's, by what its owners put into it.

use std::collections::BTreeMap;

/// Someone that bytes are charged to, by a number of the caller's.
pub type Owner = u32;

/// Bytes before coding by owner, in order.
#[derive(Debug, Default)]
pub(super) struct Shares(Vec<(Option<Owner>, u64)>);

impl Shares {
    /// An owner put so many bytes more.
    pub(super) fn add(&mut self, owner: Option<Owner>, weight: u64) {
        match self.0.last_mut() {
            _ if weight == 0 => {}
            Some(last) if last.0 == owner => last.1 += weight,
            _ => self.0.push((owner, weight)),
        }
    }
}

/// What each owner has been charged so far.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Shares of pieces that are not coded yet, by chain and piece.
    waiting: BTreeMap<(u64, usize), Shares>,
    costs: BTreeMap<Owner, u64>,
}

impl Ledger {
    /// Remembers who put what into a piece of a chain.
    pub(super) fn wait(&mut self, chain: u64, piece: usize, shares: Shares) {
        self.waiting.insert((chain, piece), shares);
    }

    /// A piece of a chain became so many bytes.
    ///
    /// Each owner is charged its part, rounded so that all parts together are what there is.
    pub(super) fn charge(&mut self, chain: u64, piece: usize, coded_len: u64) {
        let Shares(shares) = self.waiting.remove(&(chain, piece)).unwrap_or_default();
        let all: u64 = shares.iter().map(|share| share.1).sum();
        let (mut seen, mut charged) = (0, 0);
        for (owner, weight) in shares {
            seen += weight;
            let until = u128::from(coded_len) * u128::from(seen) / u128::from(all.max(1));
            let until = until as u64;
            if let Some(owner) = owner {
                *self.costs.entry(owner).or_default() += until - charged;
            }
            charged = until;
        }
    }

    /// What each owner was charged; what belongs to none is left out.
    pub(super) fn into_costs(self) -> BTreeMap<Owner, u64> {
        self.costs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_all_there_is() {
        let mut ledger = Ledger::default();
        let mut shares = Shares::default();
        for (owner, weight) in [(Some(1), 1), (Some(1), 1), (Some(2), 1), (None, 3), (Some(1), 0)] {
            shares.add(owner, weight);
        }
        assert_eq!(shares.0, [(Some(1), 2), (Some(2), 1), (None, 3)]);
        ledger.wait(7, 0, shares);
        ledger.charge(7, 1, 100);
        ledger.charge(7, 0, 11);
        ledger.charge(7, 0, 11);
        assert_eq!(ledger.into_costs(), BTreeMap::from([(1, 3), (2, 2)]));
    }

    #[test]
    fn an_empty_piece_costs_nobody() {
        let mut ledger = Ledger::default();
        ledger.wait(0, 0, Shares::default());
        ledger.charge(0, 0, 9);
        assert_eq!(ledger.into_costs(), BTreeMap::new());
    }
}
