//! Headers of the tar files that are written anew: the same for the same content, always.
//!
//! POSIX.1-2017, pax, "ustar Interchange Format"; sizes from 8 GiB on in base 256 as GNU tar writes them.

/// Bytes of a block.
pub const BLOCK: u64 = 512;

/// The header of a directory.
pub fn directory(name: &str) -> Vec<u8> {
    header(name, b'5', 0o755, 0)
}

/// The header of a file with this many bytes.
pub fn file(name: &str, size: u64) -> Vec<u8> {
    header(name, b'0', 0o644, size)
}

/// The zeros after a file with this many bytes.
pub fn padding(size: u64) -> Vec<u8> {
    vec![0; (size.wrapping_neg() % BLOCK) as usize]
}

/// The end of the tar.
pub fn end() -> Vec<u8> {
    vec![0; 2 * BLOCK as usize]
}

/// Owner and times are 0. The names that are written here are short.
fn header(name: &str, kind: u8, mode: u32, size: u64) -> Vec<u8> {
    let mut block = vec![0; BLOCK as usize];
    let name = name.as_bytes();
    let len = name.len().min(100);
    block[..len].copy_from_slice(&name[..len]);
    octal(&mut block[100..108], mode.into());
    octal(&mut block[108..116], 0);
    octal(&mut block[116..124], 0);
    if size < 1 << 33 {
        octal(&mut block[124..136], size);
    } else {
        block[124] = 0x80;
        block[128..136].copy_from_slice(&size.to_be_bytes());
    }
    octal(&mut block[136..148], 0);
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    octal(&mut block[148..155], sum);
    block
}

/// A number in octal digits that fill the field but for a NUL at its end.
fn octal(field: &mut [u8], value: u64) {
    let digits = field.len() - 1;
    for (place, byte) in field[..digits].iter_mut().rev().enumerate() {
        *byte = b'0' + ((value >> (3 * place)) & 7) as u8;
    }
    field[digits] = 0;
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn other_readers_understand_it() {
        let tar = [directory("blobs/"), file("blobs/a", 3), b"abc".to_vec(), padding(3), end()];
        let tar = tar.concat();
        let mut archive = tar::Archive::new(&tar[..]);
        let seen: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                let path = entry.path().unwrap().display().to_string();
                (path, header.mode().unwrap(), header.mtime().unwrap(), entry.size())
            })
            .collect();
        let wanted = [("blobs/".to_owned(), 0o755, 0, 0), ("blobs/a".to_owned(), 0o644, 0, 3)];
        assert_eq!(seen, wanted);
    }

    #[test]
    fn large_sizes() {
        for size in [0, 1, (1 << 33) - 1, 1 << 33, 1 << 52] {
            let block = file("a", size);
            let header = tar::Header::from_byte_slice(&block);
            assert_eq!(header.entry_size().unwrap(), size);
            assert_eq!(padding(size).len() as u64 % 512, (512 - size % 512) % 512);
        }
    }
}
