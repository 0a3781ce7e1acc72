//! Inputs that follow from a seed: bytes, text, and executables for x86-64 of two versions.

#![allow(dead_code, reason = "each bench and fuzz target uses some")]

/// Numbers without a pattern, the same for a seed.
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    /// Bytes without structure.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.below(256) as u8).collect()
    }

    /// Words from a vocabulary of 500.
    pub fn text(&mut self, len: usize) -> Vec<u8> {
        let mut text = String::new();
        while text.len() < len {
            let word = self.below(500);
            text +=
                &format!("{:x}{}", word * 7919, if word.is_multiple_of(11) { '\n' } else { ' ' });
        }
        text.truncate(len);
        text.into_bytes()
    }

    /// These bytes with changes, insertions and removals, about one in `every`.
    pub fn edited(&mut self, bytes: &[u8], every: usize) -> Vec<u8> {
        let mut edited = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while !rest.is_empty() {
            let (kept, behind) = rest.split_at(rest.len().min(1 + self.below(2 * every)));
            edited.extend_from_slice(kept);
            rest = behind;
            let len = 1 + self.below(20);
            match self.below(3) {
                0 => edited.extend(self.bytes(len)),
                1 => rest = &rest[len.min(rest.len())..],
                _ => {
                    edited.extend(self.bytes(len));
                    rest = &rest[len.min(rest.len())..];
                }
            }
        }
        edited
    }
}

/// Where code begins in the file and in memory.
const CODE: usize = 4096;

/// Two versions of a program of so many functions that call one another: the target has some that the base has not.
pub fn programs(functions: usize) -> (Vec<u8>, Vec<u8>) {
    let all: Vec<usize> = (0..functions).collect();
    let base: Vec<usize> = all.iter().copied().filter(|number| number % 37 != 5).collect();
    (program(&base, functions), program(&all, functions))
}

/// An executable with these functions; a call of one that it has not is of the first.
fn program(chosen: &[usize], functions: usize) -> Vec<u8> {
    let mut places = vec![CODE; functions];
    let mut at = CODE;
    for &number in chosen {
        places[number] = at;
        at += body(number, &[], at, functions).len();
    }
    let mut code = Vec::new();
    for &number in chosen {
        code.extend(body(number, &places, CODE + code.len(), functions));
    }
    let mut file = header(code.len());
    file.resize(CODE, 0);
    file.extend(code);
    file
}

/// A function at `at`: moves, calls and a return; its length does not depend on `places`.
fn body(number: usize, places: &[usize], at: usize, functions: usize) -> Vec<u8> {
    let mut random = Random(number as u64);
    let mut code = vec![0x55];
    for _ in 0..4 + random.below(30) {
        match random.below(3) {
            0 => code.extend([0xb8, random.below(256) as u8, random.below(4) as u8, 0, 0]),
            1 => code.extend([0x48, 0x89, 0xc0 | random.below(64) as u8]),
            _ => {
                let callee = places.get(random.below(functions)).copied().unwrap_or(CODE);
                let next = at + code.len() + 5;
                code.push(0xe8);
                code.extend((callee as i32).wrapping_sub(next as i32).to_le_bytes());
            }
        }
    }
    code.extend([0x5d, 0xc3]);
    code
}

/// The header of an ELF file for x86-64 with one segment, which is code, and no sections.
fn header(code_len: usize) -> Vec<u8> {
    let mut file = vec![0; 120];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &[3, 0, 62, 0, 1]);
    put(32, &64_u64.to_le_bytes());
    put(52, &[64, 0, 56, 0, 1, 0]);
    put(64, &[1, 0, 0, 0, 5]);
    for at in [64 + 8, 64 + 16, 64 + 24] {
        put(at, &(CODE as u64).to_le_bytes());
    }
    for at in [64 + 32, 64 + 40] {
        put(at, &(code_len as u64).to_le_bytes());
    }
    file
}
