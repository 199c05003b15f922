//! Words counted by several processes into one dict: each change is one step for everybody, so that
//! nothing is lost, also when a worker is killed.

use shmkit::{Dict, Manager, Process, Result};

const TEXT: &str = "the quick brown fox jumps over the lazy dog and the cat ";

fn count(counts: Dict<String, u64>, text: String) -> Result<()> {
    for word in text.split_whitespace() {
        counts.update(word, |count| *count.get_or_insert(0) += 1)?;
    }
    Ok(())
}

fn main() -> Result<()> {
    let manager = Manager::new()?;
    let counts: Dict<String, u64> = manager.dict("counts")?;
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let arguments = (counts.clone(), TEXT.repeat(50));
            Process::spawn(arguments, |counts, text| count(counts, text).unwrap())
        })
        .collect::<Result<_>>()?;
    for worker in &workers {
        worker.join()?;
    }
    let mut all: Vec<_> = counts.snapshot()?.into_iter().collect();
    all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    for (word, count) in all.iter().take(3) {
        println!("{count:>5} {word}");
    }
    println!("{:>5} words", all.iter().map(|(_, count)| count).sum::<u64>());
    Ok(())
}
