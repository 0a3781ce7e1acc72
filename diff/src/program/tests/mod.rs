//! Whole payloads: written, read back, damaged.

mod coders;
mod corrupt;
mod everything;
mod exceptions;
mod executable;
mod frames;
mod golden;
mod limits;
mod literals;
mod opened;
mod quoted;
mod random;
mod symbols;
mod toys;
mod zips;
