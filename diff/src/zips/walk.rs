//! The order of archives that were made by walking through directories: of each first the entries of all that is in
//! it, directories before files, then what is in the first of these directories, and so on.
//!
//! Within a directory the order is any: as a rule that of a file system, which is another one each time. So what comes
//! next is one of those that are left of the present directory.

use std::collections::HashMap;

/// Where the walk is in the base's directories, and what is left of each.
#[derive(Debug, Clone, Default)]
pub(super) struct Walk {
    /// For each member the directory in which it is, and that which it is.
    members: Vec<(u32, Option<u32>)>,
    folders: Vec<Folder>,
    /// The present one.
    here: usize,
    /// Directories that were seen and not walked through, the next one last.
    pending: Vec<u32>,
    /// Nothing is left of those before.
    first: usize,
}

/// A directory.
#[derive(Debug, Clone, Default)]
struct Folder {
    /// The members in it that did not come, ascending.
    left: Vec<u32>,
    /// The directories in it, as they came.
    inner: Vec<u32>,
}

impl Walk {
    /// The walk through an archive with members of these names.
    pub(super) fn new(names: impl Iterator<Item = Vec<u8>>) -> Self {
        let mut walk = Self { folders: vec![Folder::default()], ..Self::default() };
        let mut known: HashMap<Vec<u8>, u32> = HashMap::from([(Vec::new(), 0)]);
        for (number, name) in (0..).zip(names) {
            let within = parent(&name).to_vec();
            let is_folder = name.last() == Some(&b'/');
            let mut place = |name: Vec<u8>| {
                *known.entry(name).or_insert_with(|| {
                    walk.folders.push(Folder::default());
                    walk.folders.len() as u32 - 1
                })
            };
            let member = (place(within), is_folder.then(|| place(name)));
            walk.members.push(member);
            if let Some(folder) = walk.folders.get_mut(member.0 as usize) {
                folder.left.push(number);
            }
        }
        walk
    }

    /// Those that may come next, ascending, once directories of which nothing is left are left.
    pub(super) fn next(&mut self) -> &[u32] {
        while self.folders.get(self.here).is_none_or(|folder| folder.left.is_empty())
            && self.go_on()
        {}
        self.folders.get(self.here).map_or(&[], |folder| &folder.left)
    }

    /// Leaves the directory of those that may come next, of which no more comes.
    pub(super) fn leave(&mut self) {
        self.next();
        if let Some(folder) = self.folders.get_mut(self.here) {
            folder.left.clear();
        }
        self.next();
    }

    /// A member came.
    pub(super) fn take(&mut self, member: usize) {
        let Some(&(within, own)) = self.members.get(member) else { return };
        let Some(folder) = self.folders.get_mut(within as usize) else { return };
        if let Ok(place) = folder.left.binary_search(&(member as u32)) {
            folder.left.remove(place);
            folder.inner.extend(own);
        }
    }

    /// Goes to the next directory, that of which something is left if none is known; false if there is none.
    fn go_on(&mut self) -> bool {
        if let Some(folder) = self.folders.get_mut(self.here) {
            let inner = std::mem::take(&mut folder.inner);
            self.pending.extend(inner.into_iter().rev());
        }
        if let Some(next) = self.pending.pop() {
            self.here = next as usize;
            return true;
        }
        while self.folders.get(self.first).is_some_and(|folder| folder.left.is_empty()) {
            self.first += 1;
        }
        self.here = self.first;
        self.first < self.folders.len()
    }
}

/// The name of the directory in which a member is, with its slash.
fn parent(name: &[u8]) -> &[u8] {
    let stem = name.strip_suffix(b"/").unwrap_or(name);
    let end = stem.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    &stem[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(names: &[&str]) -> Walk {
        Walk::new(names.iter().map(|name| name.as_bytes().to_vec()))
    }

    #[test]
    fn directories_come_as_they_were_named() {
        let mut walk = walk(&["a/", "b/", "x", "a/c/", "a/y", "a/c/z", "b/w", "b/v"]);
        let mut offered = Vec::new();
        for member in [1, 0, 2, 7, 6, 4, 3, 5] {
            offered.push(walk.next().to_vec());
            walk.take(member);
        }
        // b came first, so what is in it comes before what is in a.
        let wanted: [&[u32]; 8] = [&[0, 1, 2], &[0, 2], &[2], &[6, 7], &[6], &[3, 4], &[3], &[5]];
        assert_eq!(offered, wanted);
        assert!(walk.next().is_empty());
        walk.take(3);
        walk.take(99);
        assert!(walk.next().is_empty());
    }

    #[test]
    fn directories_without_entries_come_in_their_order() {
        let mut walk = walk(&["q/r/1", "q/r/2", "p/1"]);
        assert_eq!(walk.next(), [0, 1]);
        walk.leave();
        assert_eq!(walk.next(), [2]);
        walk.take(2);
        assert!(walk.next().is_empty());
        walk.leave();
        walk.take(0);
        assert!(walk.next().is_empty());
    }

    #[test]
    fn parents_end_with_a_slash() {
        for (name, of) in
            [("a", ""), ("a/", ""), ("a/b", "a/"), ("a/b/", "a/"), ("/", ""), ("", "")]
        {
            assert_eq!(parent(name.as_bytes()), of.as_bytes());
        }
    }
}
