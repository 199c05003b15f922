//! Words go to another process through a queue of three, until it gets "quit".
//!
//! `cargo run --example words_until_quit`

use shmkit::{Process, Queue, Result};

fn shout(words: Queue<String>) -> u32 {
    let mut count = 0;
    for word in words.iter().take_while(|word| word != "quit") {
        println!("{}!", word.to_uppercase());
        count += 1;
    }
    count
}

fn main() -> Result<()> {
    let words = Queue::new(3)?;
    let reader = Process::spawn((words.clone(),), shout)?;
    for word in ["the", "time", "has", "come", "quit"] {
        words.put(word.to_string())?; // waits while three are there
    }
    println!("{} words", reader.join()?);
    Ok(())
}
