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
    /// Bytes of the text before that a block knows at most.
    const TAIL: usize;
    /// A text of whole blocks has one more, empty block.
    const EMPTY_LAST: bool;

    /// What of the block before is the dictionary of the next.
    fn tail(text: &[u8]) -> &[u8];

    /// Appends the encoded block.
    fn encode(self, dictionary: &[u8], text: &[u8], last: bool, out: &mut Vec<u8>);
}

/// An encoder of a deflate stream of blocks.
#[derive(Debug)]
pub struct Blocks<C> {
    coder: C,
    block: usize,
    threads: usize,
    buffer: Vec<u8>,
    dictionary: Vec<u8>,
    workers: Option<SyncSender<Job>>,
    under_way: VecDeque<Receiver<Vec<u8>>>,
}

type Job = Box<dyn FnOnce() + Send>;

impl<C: PieceCoder> Blocks<C> {
    /// An encoder with blocks of `block` bytes on up to `threads` threads.
    ///
    /// It holds up to three blocks a thread in memory. Threads begin with the second block.
    pub fn new(coder: C, block: usize, threads: usize) -> Self {
        Self {
            coder,
            block: block.max(1),
            threads: threads.max(1),
            buffer: Vec::new(),
            dictionary: Vec::new(),
            workers: None,
            under_way: VecDeque::new(),
        }
    }

    /// Takes in the next bytes of the text; appends what is ready.
    pub fn write(&mut self, mut text: &[u8], out: &mut Vec<u8>) {
        while !text.is_empty() {
            if self.buffer.len() == self.block {
                self.start(false, out);
            }
            let n = text.len().min(self.block - self.buffer.len());
            self.buffer.extend_from_slice(&text[..n]);
            text = &text[n..];
        }
        if C::EMPTY_LAST && self.buffer.len() == self.block {
            self.start(false, out);
        }
    }

    /// Appends the rest.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.start(true, out);
        while let Some(done) = self.under_way.pop_front() {
            out.append(&mut done.recv().unwrap_or_default());
        }
    }

    /// Encodes the block in the buffer.
    fn start(&mut self, last: bool, out: &mut Vec<u8>) {
        let text = std::mem::take(&mut self.buffer);
        let tail = C::tail(&text);
        let tail = tail[tail.len().saturating_sub(C::TAIL)..].to_vec();
        let dictionary = std::mem::replace(&mut self.dictionary, tail);
        let coder = self.coder;
        if self.threads == 1 || last && self.under_way.is_empty() {
            return coder.encode(&dictionary, &text, last, out);
        }
        if self.under_way.len() >= self.threads
            && let Some(done) = self.under_way.pop_front()
        {
            out.append(&mut done.recv().unwrap_or_default());
        }
        let (sender, receiver) = sync_channel(1);
        let job: Job = Box::new(move || {
            let mut coded = Vec::with_capacity(text.len() / 2);
            coder.encode(&dictionary, &text, last, &mut coded);
            // A receiver that is gone means that nobody wants the bytes any more.
            let _ = sender.send(coded);
        });
        let threads = self.threads;
        let workers = self.workers.get_or_insert_with(|| workers(threads));
        if let Err(refused) = workers.send(job) {
            // There are no threads: the work is done here.
            refused.0();
        }
        self.under_way.push_back(receiver);
    }
}

/// Threads that do jobs until the sender is gone. They are no threads of a pool whose work might wait for them.
fn workers(threads: usize) -> SyncSender<Job> {
    let (sender, receiver) = sync_channel::<Job>(threads);
    let jobs = Arc::new(Mutex::new(receiver));
    for _ in 0..threads {
        let jobs = Arc::clone(&jobs);
        let spawned = thread::Builder::new().name("blocks".to_owned()).spawn(move || {
            loop {
                let Ok(job) = jobs.lock().map(|jobs| jobs.recv()) else { return };
                let Ok(job) = job else { return };
                job();
            }
        });
        if spawned.is_err() {
            break;
        }
    }
    sender
}
