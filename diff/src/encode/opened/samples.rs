//! Archives for tests.
#![allow(clippy::unwrap_used)]

use dd_extract::encoding::zlib::{Deflater, ZlibParams};

/// Whether a member is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    Yes,
    No,
}

/// A raw deflate stream by zlib.
pub fn deflated(level: u8, mem_level: u8, plain: &[u8]) -> Vec<u8> {
    let mut deflater = Deflater::new(ZlibParams { level, mem_level }).unwrap();
    let mut out = Vec::new();
    deflater.write(plain, &mut out).unwrap();
    deflater.finish(&mut out).unwrap();
    out
}

/// Lines of words.
pub fn text(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = Vec::new();
    while text.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let word = (state >> 40) % 997;
        text.extend_from_slice(format!("word{word}").as_bytes());
        text.push(if word.is_multiple_of(9) { b'\n' } else { b' ' });
    }
    text.truncate(len);
    text
}

/// The check sum of a content (any will do here).
fn crc(plain: &[u8]) -> [u8; 4] {
    let sum = plain.iter().fold(7u32, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    sum.to_le_bytes()
}

/// A gzip file of level 9, memLevel 9, without name.
pub fn gzip(plain: &[u8]) -> Vec<u8> {
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3];
    let len = (plain.len() as u32).to_le_bytes();
    [&head[..], &deflated(9, 9, plain), &crc(plain), &len].concat()
}

/// A zip archive, compressed by zlib, level 6.
pub fn zip(members: &[(&str, &[u8], Stored)]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, plain, stored) in members {
        let data = if *stored == Stored::Yes { plain.to_vec() } else { deflated(6, 8, plain) };
        let method = if *stored == Stored::Yes { 0u8 } else { 8 };
        let local = (archive.len() as u32).to_le_bytes();
        let mut fields = vec![20, 0, 0, 0, method, 0, 0, 0, 0x21, 0x58];
        fields.extend_from_slice(&crc(plain));
        fields.extend_from_slice(&(data.len() as u32).to_le_bytes());
        fields.extend_from_slice(&(plain.len() as u32).to_le_bytes());
        fields.extend_from_slice(&(name.len() as u16).to_le_bytes());
        fields.extend_from_slice(&[0, 0]);
        archive.extend_from_slice(b"PK\x03\x04");
        archive.extend_from_slice(&fields);
        archive.extend_from_slice(name.as_bytes());
        archive.extend_from_slice(&data);
        directory.extend_from_slice(b"PK\x01\x02\x14\x03");
        directory.extend_from_slice(&fields);
        directory.extend_from_slice(&[0; 8]);
        directory.extend_from_slice(&[0, 0]);
        directory.extend_from_slice(&local);
        directory.extend_from_slice(name.as_bytes());
    }
    let (start, count) = ((archive.len() as u32).to_le_bytes(), members.len() as u16);
    archive.extend_from_slice(&directory);
    archive.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    archive.extend_from_slice(&[count.to_le_bytes(), count.to_le_bytes()].concat());
    archive.extend_from_slice(&(directory.len() as u32).to_le_bytes());
    archive.extend_from_slice(&start);
    archive.extend_from_slice(&[0, 0]);
    archive
}

/// An ELF file: a program, compressed sections with their names, and what stands behind these.
pub fn elf(program: &[u8], sections: &[(&str, &[u8])], rest: &[u8]) -> Vec<u8> {
    let mut names = b"\0".to_vec();
    let table_len = 64 * (sections.len() + 1);
    let mut file = vec![0; 64 + table_len];
    file[..6].copy_from_slice(b"\x7fELF\x02\x01");
    file[40] = 64;
    file[58] = 64;
    file[60] = sections.len() as u8 + 1;
    file[62] = sections.len() as u8;
    file.extend_from_slice(program);
    let header = |number: usize, name: usize, flags: u64, (offset, len): (usize, usize)| {
        let mut header = [0; 64];
        header[..4].copy_from_slice(&(name as u32).to_le_bytes());
        header[4] = 1;
        header[8..16].copy_from_slice(&flags.to_le_bytes());
        header[24..32].copy_from_slice(&(offset as u64).to_le_bytes());
        header[32..40].copy_from_slice(&(len as u64).to_le_bytes());
        (64 + 64 * number, header)
    };
    let mut headers = Vec::new();
    for (number, (name, plain)) in sections.iter().enumerate() {
        let start = file.len();
        file.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
        file.extend_from_slice(&(plain.len() as u64).to_le_bytes());
        file.extend_from_slice(&1u64.to_le_bytes());
        file.extend_from_slice(&[0x78, 0x9c]);
        file.extend_from_slice(&deflated(6, 8, plain));
        file.extend_from_slice(&crc(plain));
        headers.push(header(number, names.len(), 1 << 11, (start, file.len() - start)));
        names.extend_from_slice(name.as_bytes());
        names.push(0);
    }
    headers.push(header(sections.len(), 0, 0, (file.len(), names.len())));
    file.extend_from_slice(&names);
    file.extend_from_slice(rest);
    for (at, header) in headers {
        file[at..at + 64].copy_from_slice(&header);
    }
    file
}
