//! Three processes write records of three lines to one file, under a lock: none is torn apart.
//!
//! `cargo run --example three_lines`

use shmkit::{Lock, Process, Result};
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

const WRITERS: u32 = 3;
const RECORDS: u32 = 30;

fn record(writer: u32, n: u32) -> [String; 3] {
    ["first", "second", "third"].map(|line| format!("writer {writer}, record {n}, {line} line\n"))
}

fn write(path: PathBuf, turn: Lock, writer: u32) {
    let mut file = File::options().append(true).open(path).unwrap();
    for n in 0..RECORDS {
        let _mine = turn.lock().unwrap(); // until the end of this round
        for line in record(writer, n) {
            file.write_all(line.as_bytes()).unwrap();
        }
    }
}

fn main() -> Result<()> {
    let path = std::env::temp_dir().join(format!("three_lines.{}.txt", std::process::id()));
    File::create_new(&path)?;
    let turn = Lock::new(())?;
    let spawn = |writer| Process::spawn((path.clone(), turn.clone(), writer), write);
    for process in (0..WRITERS).map(spawn).collect::<Result<Vec<_>>>()? {
        process.join()?;
    }

    let text = fs::read_to_string(&path)?;
    fs::remove_file(&path)?;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let expected: Vec<_> =
        (0..WRITERS).flat_map(|writer| (0..RECORDS).map(move |n| record(writer, n))).collect();
    let whole = lines.chunks(3).filter(|three| expected.iter().any(|all| all == three)).count();
    println!("{} lines, {whole} whole records", lines.len());
    Ok(())
}
