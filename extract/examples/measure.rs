#![allow(missing_docs, clippy::unwrap_used)]
use dd_extract::encoding::identify::{Corrections, identify};
use dd_inspect::range::FileRange;
use std::io::{Read, Write};
use std::time::Instant;
fn hwm() -> u64 {
    std::fs::read_to_string("/proc/self/status")
        .unwrap()
        .lines()
        .find(|l| l.starts_with("VmHWM"))
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        / 1024
}
struct Count(u64);
impl Write for Count {
    fn write(&mut self, b: &[u8]) -> std::io::Result<usize> {
        self.0 += b.len() as u64;
        Ok(b.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let c = FileRange::open(a[1].as_ref()).unwrap();
    let mut p = FileRange::open(a[2].as_ref()).unwrap();
    if a.len() > 3 {
        // replay only
        let e =
            dd_extract::encoding::Encoding::parse(&serde_json::from_str(&a[3]).unwrap()).unwrap();
        let corr = std::fs::File::open("/tmp/measure.corr").unwrap();
        let t = Instant::now();
        let mut enc = e.encoder(Count(0), std::io::BufReader::new(corr)).unwrap();
        let mut b = vec![0; 65536];
        loop {
            let n = p.read(&mut b).unwrap();
            if n == 0 {
                break;
            }
            enc.write_all(&b[..n]).unwrap();
        }
        println!(
            "replay {} bytes {:?} hwm {} MiB declared {} MiB",
            enc.finish().unwrap().0,
            t.elapsed(),
            hwm(),
            e.memory() >> 20
        );
        return;
    }
    let t = Instant::now();
    let r = identify(&c, &p, "/work/tmp".as_ref(), 1 << 30).unwrap();
    let mut v = Vec::new();
    let kind = match r.corrections {
        Corrections::None => "none",
        Corrections::Stored => "stored",
        Corrections::Script(mut s) => {
            s.read_to_end(&mut v).unwrap();
            "script"
        }
    };
    std::fs::write("/tmp/measure.corr", &v).unwrap();
    let z = zstd::encode_all(&v[..], 19).unwrap().len();
    println!(
        "{} {} {kind} {} (zstd {z}) {:?} hwm {} MiB",
        r.encoding,
        r.encoding.to_value(),
        v.len(),
        t.elapsed(),
        hwm()
    );
}
