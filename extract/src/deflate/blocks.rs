//! Streams of blocks that are encoded each by itself, given the text before: on several threads, in bounded memory.
//!
//! The number of threads does not change a byte.

use std::collections::VecDeque;
use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

/// How one block is encoded.
pub trait PieceCoder: Copy + Send + fmt::Debug + 'static {
    /// What serves for one block after the other.
    type Encoder: Default + fmt::Debug;

    /// Bytes of the text before that a block knows at most.
    const TAIL: usize;
    /// A text of whole blocks has one more, empty block.
    const EMPTY_LAST: bool;

    /// What of the block before is the dictionary of the next.
    fn tail(text: &[u8]) -> &[u8];

    /// Appends the encoded block.
    fn encode(self, encoder: &mut Self::Encoder, block: &Block, out: &mut Vec<u8>);
}

/// A block of the text.
#[derive(Debug, Default)]
pub struct Block {
    /// The text before it that may be used.
    pub dictionary: Vec<u8>,
    /// Its text.
    pub text: Vec<u8>,
    /// Whether it is the last.
    pub last: bool,
}

/// An encoder of a deflate stream of blocks.
#[derive(Debug)]
pub struct Blocks<C: PieceCoder> {
    coder: C,
    len: usize,
    threads: usize,
    /// The block that is being filled.
    block: Block,
    /// Serves where no threads do.
    encoder: C::Encoder,
    workers: Option<SyncSender<Job>>,
    under_way: VecDeque<Receiver<Job>>,
    /// Jobs done whose memory serves for the next blocks.
    spare: Vec<Job>,
}

/// A block on its way, and its encoded bytes when it is done.
#[derive(Debug, Default)]
struct Job {
    block: Block,
    coded: Vec<u8>,
    /// Takes the job when it is done.
    done: Option<SyncSender<Job>>,
}

/// Blocks of text that an encoder on so many threads holds at most, those that are encoded counted as if they were as long.
pub fn blocks_held(threads: u64) -> u64 {
    match threads {
        // The one that is filled and the one that is encoded.
        0 | 1 => 2,
        // One is filled; one waits, so that no thread does; it and those in work are there twice, with what is made of them.
        _ => 2 * threads + 3,
    }
}

impl<C: PieceCoder> Blocks<C> {
    /// An encoder with blocks of `len` bytes on up to `threads` threads, which begin with the second block.
    ///
    /// Beside what the encoders take it holds up to [`blocks_held`] blocks in memory.
    pub fn new(coder: C, len: usize, threads: usize) -> Self {
        Self {
            coder,
            len: len.max(1),
            threads: threads.max(1),
            block: Block::default(),
            encoder: C::Encoder::default(),
            workers: None,
            under_way: VecDeque::new(),
            spare: Vec::new(),
        }
    }

    /// Takes in the next bytes of the text; appends what is ready.
    pub fn write(&mut self, mut text: &[u8], out: &mut Vec<u8>) {
        while !text.is_empty() {
            if self.block.text.len() == self.len {
                self.start(false, out);
            }
            let (now, later) = text.split_at(text.len().min(self.len - self.block.text.len()));
            self.block.text.extend_from_slice(now);
            text = later;
        }
        if C::EMPTY_LAST && self.block.text.len() == self.len {
            self.start(false, out);
        }
    }

    /// Appends the rest.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.start(true, out);
        while !self.under_way.is_empty() {
            self.take(out);
        }
    }

    /// Encodes the block that is filled.
    fn start(&mut self, last: bool, out: &mut Vec<u8>) {
        let Job { block: next, mut coded, .. } = self.spare.pop().unwrap_or_default();
        let mut block = std::mem::replace(&mut self.block, next);
        block.last = last;
        let tail = C::tail(&block.text);
        self.block.dictionary.clear();
        self.block.dictionary.extend_from_slice(&tail[tail.len().saturating_sub(C::TAIL)..]);
        self.block.text.clear();
        if self.threads == 1 || last && self.under_way.is_empty() {
            self.coder.encode(&mut self.encoder, &block, out);
            self.spare.push(Job { block, coded, done: None });
            return;
        }
        if self.under_way.len() > self.threads {
            self.take(out);
        }
        let (sender, receiver) = sync_channel(1);
        coded.clear();
        let job = Job { block, coded, done: Some(sender) };
        let (coder, threads) = (self.coder, self.threads);
        let workers = self.workers.get_or_insert_with(|| workers(coder, threads));
        if let Err(refused) = workers.send(job) {
            // There are no threads: the work is done here.
            run(coder, &mut self.encoder, refused.0);
        }
        self.under_way.push_back(receiver);
    }

    /// Appends the oldest block that is under way.
    fn take(&mut self, out: &mut Vec<u8>) {
        if let Some(job) = self.under_way.pop_front().and_then(|done| done.recv().ok()) {
            out.extend_from_slice(&job.coded);
            self.spare.push(job);
        }
    }
}

fn run<C: PieceCoder>(coder: C, encoder: &mut C::Encoder, mut job: Job) {
    coder.encode(encoder, &job.block, &mut job.coded);
    if let Some(done) = job.done.take() {
        // A receiver that is gone means that nobody wants the bytes any more.
        let _ = done.send(job);
    }
}

/// Threads that do jobs until the sender is gone. They are no threads of a pool whose work might wait for them.
fn workers<C: PieceCoder>(coder: C, threads: usize) -> SyncSender<Job> {
    let (sender, receiver) = sync_channel::<Job>(threads + 1);
    let jobs = Arc::new(Mutex::new(receiver));
    for _ in 0..threads {
        let jobs = Arc::clone(&jobs);
        let spawned = thread::Builder::new().name("blocks".to_owned()).spawn(move || {
            let mut encoder = C::Encoder::default();
            loop {
                let Ok(job) = jobs.lock().map(|jobs| jobs.recv()) else { return };
                let Ok(job) = job else { return };
                run(coder, &mut encoder, job);
            }
        });
        if spawned.is_err() {
            break;
        }
    }
    sender
}
