#![allow(missing_docs, clippy::unwrap_used)]
use dd_extract::encoding::preflate::{Analysis, Recreator};
use std::io::{Read, Write};
use std::time::Instant;
fn main() {
    let mut plain = Vec::new();
    let mut s = 5u64;
    while plain.len() < 20000 {
        s = s.wrapping_mul(6364136223846793005).wrapping_add(1);
        writeln!(plain, "line {} of {:x}", s >> 60, (s >> 50) & 0xfff).unwrap();
    }
    let mut d = Vec::new();
    flate2::read::DeflateEncoder::new(&plain[..], flate2::Compression::new(6))
        .read_to_end(&mut d)
        .unwrap();
    let a = Analysis::of(&d[..], 1 << 20).unwrap().unwrap();
    // one chunk: varint plain, varint len
    let mut c = &a.chunks[..];
    let mut num = || {
        let mut v = 0u64;
        let mut sh = 0;
        loop {
            let b = c[0];
            c = &c[1..];
            v |= u64::from(b & 0x7f) << sh;
            sh += 7;
            if b < 128 {
                return v;
            }
        }
    };
    let p = num();
    let l = num() as usize;
    let corr = c[..l].to_vec();
    println!("plain {p} corr {l}");
    let (mut ok, mut err, mut big, mut slow) = (0, 0, 0usize, 0u128);
    let secs: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let t0 = Instant::now();
    while t0.elapsed().as_secs() < secs {
        let mut m = corr.clone();
        for _ in 0..1 + (s >> 62) {
            s = s.wrapping_mul(6364136223846793005).wrapping_add(1);
            let i = (s >> 33) as usize % m.len();
            m[i] = (s >> 20) as u8;
        }
        if s >> 61 == 0 {
            let n = (s >> 30) as usize % m.len();
            m.truncate(n.max(1));
        }
        std::fs::write("/tmp/fuzz.last", &m).unwrap();
        let t = Instant::now();
        match Recreator::new().unwrap().chunk(plain.clone(), m) {
            Ok(o) => {
                ok += 1;
                big = big.max(o.len())
            }
            Err(_) => err += 1,
        }
        slow = slow.max(t.elapsed().as_millis());
    }
    println!("ok {ok} err {err} biggest {big} slowest {slow} ms");
}
