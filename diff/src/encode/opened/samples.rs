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
